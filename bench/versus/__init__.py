"""The same questions asked of every engine, each in its fastest form, interleaved in one run."""
