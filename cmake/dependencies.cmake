# Finds Python, pybind11 and Boost's headers. All come from wheels of the Python environment, never from the system:
# Debian's Boost lacks Hash2 and Bloom. The environment is that of scikit-build-core, or the one that is active, or
# `.venv` here (made by make), or the one that this cmake was installed into.
set(environments "${CMAKE_SOURCE_DIR}/.venv" "${CMAKE_ROOT}/../../../../../../..")
if(DEFINED ENV{VIRTUAL_ENV})
  list(PREPEND environments "$ENV{VIRTUAL_ENV}")
endif()
if(NOT SKBUILD AND NOT Python_EXECUTABLE)
  foreach(environment IN LISTS environments)
    get_filename_component(environment "${environment}" ABSOLUTE)
    if(EXISTS "${environment}/pyvenv.cfg" AND EXISTS "${environment}/bin/python")
      set(Python_EXECUTABLE "${environment}/bin/python")
      break()
    endif()
  endforeach()
endif()
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter OPTIONAL_COMPONENTS Development.Module)
find_package(Threads REQUIRED)

# The wheel's Boost sits in `cmeel.prefix`, beside the packages of the (build) environment.
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c "import sys; print(';'.join(p for p in sys.path if p))"
  OUTPUT_VARIABLE site_folders
  OUTPUT_STRIP_TRAILING_WHITESPACE)
foreach(folder IN LISTS CMAKE_PREFIX_PATH site_folders)
  file(GLOB prefixes "${folder}/cmeel.prefix" "${folder}/lib/python*/site-packages/cmeel.prefix")
  list(APPEND CMAKE_PREFIX_PATH ${prefixes})
endforeach()
find_package(Boost 1.90 CONFIG REQUIRED COMPONENTS headers)

if(CDPSTORE_MODULE)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
    OUTPUT_VARIABLE pybind11_folder
    OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_QUIET)
  set(PYBIND11_FINDPYTHON ON)
  find_package(pybind11 3.1 CONFIG REQUIRED HINTS "${pybind11_folder}")
endif()
