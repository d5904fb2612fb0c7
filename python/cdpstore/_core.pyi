"""The engine (C++). See cpp/bindings."""

__version__: str
