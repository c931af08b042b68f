# Whether compress/ and the program edgellm-torch are built, and what their folders share: LibTorch and its headers
# compiled once. Everything else, the program edgellm too, never sees LibTorch.
set(EDGELLM_TORCH AUTO CACHE STRING "Build compress/ and edgellm-torch on LibTorch: AUTO (where it is found), ON or OFF")
set_property(CACHE EDGELLM_TORCH PROPERTY STRINGS AUTO ON OFF)
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})

set(EDGELLM_HAVE_TORCH OFF)
if(EDGELLM_TORCH STREQUAL "AUTO")
  if(CMAKE_CROSSCOMPILING)
    set(reason "a cross build")
  elseif(EDGELLM_SANITIZE OR EDGELLM_FUZZERS)
    set(reason "LibTorch has no sanitizers")
  else()
    find_package(Torch QUIET)
    set(reason "no LibTorch found; install libtorch-dev, or add your LibTorch's folder to CMAKE_PREFIX_PATH")
  endif()
elseif(EDGELLM_TORCH)
  find_package(Torch REQUIRED)
else()
  set(reason "EDGELLM_TORCH=OFF")
endif()
if(Torch_FOUND)
  set(EDGELLM_HAVE_TORCH ON)
  message(STATUS "edgellm-torch: will be built, LibTorch ${Torch_VERSION} at ${Torch_torch_LIBRARY}")
else()
  message(STATUS "edgellm-torch: will not be built (${reason})")
endif()

if(EDGELLM_HAVE_TORCH)
  # Reading LibTorch's headers takes longer than compiling what uses them.
  add_library(edgellm_torch_headers OBJECT ${CMAKE_CURRENT_LIST_DIR}/torch_headers.cpp)
  target_link_libraries(edgellm_torch_headers PUBLIC edgellm_flags Torch::Torch)
  target_precompile_headers(edgellm_torch_headers PRIVATE
    <torch/csrc/autograd/autograd.h> <torch/csrc/autograd/custom_function.h>
    <torch/csrc/autograd/generated/variable_factories.h> <ATen/ATen.h> <ATen/Parallel.h>)
endif()

# Links LibTorch into a target of compress/ and gives it the compiled headers.
function(edgellm_use_torch target)
  target_link_libraries(${target} PUBLIC Torch::Torch)
  target_precompile_headers(${target} REUSE_FROM edgellm_torch_headers)
  edgellm_cache_precompiled(${target})
endfunction()

# ccache keeps what was compiled with precompiled headers only when told that it may.
function(edgellm_cache_precompiled target)
  if(CMAKE_CXX_COMPILER_LAUNCHER MATCHES "ccache$")
    set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${CMAKE_CXX_COMPILER_LAUNCHER}")
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(${target} PRIVATE -fpch-preprocess)
    endif()
  endif()
endfunction()
if(EDGELLM_HAVE_TORCH)
  edgellm_cache_precompiled(edgellm_torch_headers)
endif()
