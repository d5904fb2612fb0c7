# How every C++ file of ours is compiled. On x86-64 its second level (popcount, SSE 4.2: every server since 2009) is the
# ground; kernels for wider instruction sets carry target attributes and are chosen at run time. Never fast-math, never contracted: answers are exact and the same on every machine.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, RelWithDebInfo or Debug" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")

if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(CDPSTORE_CCACHE ccache)
  if(CDPSTORE_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${CDPSTORE_CCACHE}")
  endif()
endif()

add_library(cdpstore_compiler INTERFACE)
target_compile_options(cdpstore_compiler INTERFACE -Wall -Wextra -ffp-contract=off)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(cdpstore_compiler INTERFACE -march=x86-64-v2)
endif()
if(CDPSTORE_WERROR)
  target_compile_options(cdpstore_compiler INTERFACE -Werror)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 sees overlapping copies inside std::string's operator+ that cannot be (its bugs 105329, 105651).
  target_compile_options(cdpstore_compiler INTERFACE -Wno-restrict)
endif()

if(CDPSTORE_SANITIZE STREQUAL "address-undefined")
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(CDPSTORE_SANITIZE STREQUAL "thread")
  set(sanitizers -fsanitize=thread -fno-omit-frame-pointer)
elseif(CDPSTORE_SANITIZE)
  message(FATAL_ERROR "CDPSTORE_SANITIZE must be address-undefined, thread or empty, not '${CDPSTORE_SANITIZE}'")
endif()
if(sanitizers)
  # The sanitizers' instrumentation makes g++ see paths that cannot happen: these two are noise there.
  target_compile_options(cdpstore_compiler INTERFACE ${sanitizers} -Wno-maybe-uninitialized -Wno-tsan)
  target_link_options(cdpstore_compiler INTERFACE ${sanitizers})
endif()
