# Cross build for 64-bit Arm on Debian: the cross compiler with the arm64 packages of the same release (multiarch), tests
# run under qemu. scripts/install_packages.sh test installs what it needs.
#
# EDGELLM_QEMU_CPU is the CPU that qemu shows: cortex-a76 has dotprod and fp16 but not i8mm, max has all three.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

# The host's own .pc files must not answer for the board's libraries.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "")

set(EDGELLM_QEMU_CPU cortex-a76 CACHE STRING "CPU that qemu shows to the tests of a cross build")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGELLM_QEMU_CPU)
find_program(EDGELLM_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(EDGELLM_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${EDGELLM_QEMU} -cpu ${EDGELLM_QEMU_CPU})
  # libc6:arm64 puts the loader where programs expect it; without it the cross compiler's copy serves.
  if(NOT EXISTS /lib/ld-linux-aarch64.so.1)
    list(APPEND CMAKE_CROSSCOMPILING_EMULATOR -L /usr/aarch64-linux-gnu)
  endif()
endif()
