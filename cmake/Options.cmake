include(GNUInstallDirs) # share/doc/berth, not share/doc

# What a preset can switch; see CMakePresets.json.
option(BERTH_TESTS "build the tests" ON)
option(BERTH_WERROR "warnings are errors (dev and CI)" OFF)
option(BERTH_COVERAGE "instrument for gcov" OFF)
option(BERTH_FUZZ "build the fuzzers with libFuzzer (clang)" OFF)
set(BERTH_SANITIZE "" CACHE STRING "sanitizers, e.g. address,undefined or thread")

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# asserts stay on in every build: they guard against our own mistakes, never against input
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")
