# Finds LibTorch: the distribution's, or one's own whose folder is in CMAKE_PREFIX_PATH. Defines the target Torch::Torch,
# Torch_VERSION and Torch_FOUND.
#
# LibTorch's own TorchConfig.cmake is passed over: it asks for the CUDA compiler and for protobuf, changes the flags of
# every target, and stops the configuration where one of them is missing. The headers and libraries are all we need.
set(torch_prefixes)
foreach(prefix IN LISTS CMAKE_PREFIX_PATH)
  # What Python's torch.utils.cmake_prefix_path says is <LibTorch>/share/cmake.
  list(APPEND torch_prefixes ${prefix} ${prefix}/../..)
endforeach()
if(Torch_DIR)
  list(APPEND torch_prefixes ${Torch_DIR}/../../..)
endif()
find_path(Torch_INCLUDE_DIR torch/csrc/autograd/autograd.h HINTS ${torch_prefixes} PATH_SUFFIXES include)
foreach(library torch torch_cpu c10)
  find_library(Torch_${library}_LIBRARY ${library} HINTS ${torch_prefixes} PATH_SUFFIXES lib)
endforeach()
get_filename_component(torch_library_folder "${Torch_torch_LIBRARY}" DIRECTORY)
find_library(Torch_torch_cuda_LIBRARY torch_cuda PATHS ${torch_library_folder} NO_DEFAULT_PATH)
find_library(Torch_c10_cuda_LIBRARY c10_cuda PATHS ${torch_library_folder} NO_DEFAULT_PATH)
mark_as_advanced(Torch_INCLUDE_DIR Torch_torch_LIBRARY Torch_torch_cpu_LIBRARY Torch_c10_LIBRARY
                 Torch_torch_cuda_LIBRARY Torch_c10_cuda_LIBRARY)

set(Torch_VERSION)
set(torch_api ${Torch_INCLUDE_DIR}/torch/csrc/api/include)
foreach(header ${torch_api}/torch/version.h ${Torch_INCLUDE_DIR}/torch/headeronly/version.h)
  if(NOT Torch_VERSION AND EXISTS ${header})
    foreach(part MAJOR MINOR PATCH)
      file(STRINGS ${header} line REGEX "#define TORCH_VERSION_${part} [0-9]+")
      if(line MATCHES "TORCH_VERSION_${part} ([0-9]+)")
        list(APPEND Torch_VERSION ${CMAKE_MATCH_1})
      endif()
    endforeach()
    list(JOIN Torch_VERSION "." Torch_VERSION)
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Torch
  REQUIRED_VARS Torch_torch_LIBRARY Torch_torch_cpu_LIBRARY Torch_c10_LIBRARY Torch_INCLUDE_DIR
  VERSION_VAR Torch_VERSION)
if(Torch_FOUND AND NOT TARGET Torch::Torch)
  add_library(Torch::Torch INTERFACE IMPORTED)
  if(EXISTS ${Torch_INCLUDE_DIR}/fmt AND NOT Torch_INCLUDE_DIR STREQUAL "/usr/include")
    # LibTorch brings headers of fmt along, without their library: the system's must be found. But not before all of
    # LibTorch's, for the system may have another LibTorch. So a folder with all of them but those.
    set(torch_headers ${CMAKE_BINARY_DIR}/torch_headers)
    file(REMOVE_RECURSE ${torch_headers})
    file(MAKE_DIRECTORY ${torch_headers})
    file(GLOB entries RELATIVE ${Torch_INCLUDE_DIR} ${Torch_INCLUDE_DIR}/*)
    foreach(entry IN LISTS entries)
      if(NOT entry STREQUAL "fmt")
        file(CREATE_LINK ${Torch_INCLUDE_DIR}/${entry} ${torch_headers}/${entry} SYMBOLIC)
      endif()
    endforeach()
    target_include_directories(Torch::Torch INTERFACE ${torch_headers} ${torch_headers}/torch/csrc/api/include)
  else()
    target_include_directories(Torch::Torch INTERFACE ${Torch_INCLUDE_DIR} ${torch_api})
  endif()
  # Kernels and devices register themselves when their library is loaded, so none may be left out as unused.
  set(libraries ${Torch_torch_LIBRARY} ${Torch_torch_cpu_LIBRARY})
  if(Torch_torch_cuda_LIBRARY)
    list(APPEND libraries ${Torch_torch_cuda_LIBRARY} ${Torch_c10_cuda_LIBRARY})
    # CUDA's own libraries lie elsewhere; LibTorch's know where.
    target_link_options(Torch::Torch INTERFACE -Wl,--unresolved-symbols=ignore-in-shared-libs)
  endif()
  # The LibTorch of PyPI exports parts of a C++ library of its own (std::filesystem::remove_all, which crashes); the
  # system's is found first where it is linked first.
  target_link_libraries(Torch::Torch INTERFACE stdc++)
  target_link_libraries(Torch::Torch INTERFACE -Wl,--push-state,--no-as-needed ${libraries} -Wl,--pop-state
                        ${Torch_c10_LIBRARY})
endif()
