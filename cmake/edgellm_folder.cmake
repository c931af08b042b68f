# One CMake target per folder: every .cpp of the folder is in the library edgellm_<target>, every x_test.cpp in the test
# program <target>_test, every x_bench.cpp in <target>_bench. A new file needs no edit here, only a new folder does.
#
#   edgellm_folder(core/blocks DEPENDS core/base [LIBRARIES fmt::fmt] [OPTIONS -mavx2] [TEST_DEPENDS core/text] [TEST_LIBRARIES ...]
#                  [EXCLUDE no_torch.cpp] [TORCH])
#
# TORCH links LibTorch and uses its precompiled headers (cmake/edgellm_torch.cmake). EXCLUDE names files of the folder that
# another target compiles.
function(edgellm_folder folder)
  cmake_parse_arguments(ARG "TORCH" "" "DEPENDS;LIBRARIES;OPTIONS;EXCLUDE;TEST_DEPENDS;TEST_LIBRARIES" ${ARGN})
  string(REPLACE "/" "_" target ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  if(ARG_EXCLUDE)
    list(TRANSFORM ARG_EXCLUDE PREPEND ${PROJECT_SOURCE_DIR}/${folder}/)
    list(REMOVE_ITEM sources ${ARG_EXCLUDE})
  endif()
  set(tests ${sources})
  set(benches ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
  list(TRANSFORM ARG_DEPENDS REPLACE "/" "_" OUTPUT_VARIABLE depends)
  list(TRANSFORM depends PREPEND "edgellm_")
  if(sources)
    add_library(edgellm_${target} STATIC ${sources})
    target_link_libraries(edgellm_${target} PUBLIC edgellm_flags ${depends} ${ARG_LIBRARIES})
    target_compile_options(edgellm_${target} PRIVATE ${ARG_OPTIONS})
    if(ARG_TORCH)
      edgellm_use_torch(edgellm_${target})
    endif()
  else()
    add_library(edgellm_${target} INTERFACE)
    target_link_libraries(edgellm_${target} INTERFACE edgellm_flags ${depends} ${ARG_LIBRARIES})
  endif()
  list(TRANSFORM ARG_TEST_DEPENDS REPLACE "/" "_" OUTPUT_VARIABLE test_depends)
  list(TRANSFORM test_depends PREPEND "edgellm_")
  if(tests AND EDGELLM_TESTS)
    # Optimizing tests further costs a third of their compile time and shortens none of them.
    set_source_files_properties(${tests} PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release>:-O1>")
    add_executable(${target}_test ${tests})
    target_link_libraries(${target}_test PRIVATE edgellm_${target} ${test_depends} ${ARG_TEST_LIBRARIES} GTest::gtest_main)
    if(ARG_TORCH)
      edgellm_use_torch(${target}_test)
    endif()
    edgellm_discover_tests(${target}_test)
  endif()
  if(benches AND EDGELLM_BENCHMARKS)
    add_executable(${target}_bench ${benches})
    target_link_libraries(${target}_bench PRIVATE edgellm_${target} ${test_depends} benchmark::benchmark_main)
    if(ARG_TORCH)
      edgellm_use_torch(${target}_bench)
    endif()
  endif()
endfunction()

# Registers the GoogleTest cases of `program` with ctest. Tests find the repository and, where there is one, the folder
# shared beside it through the environment variable set here; programs they run keep result records in the build
# folder, not in the user's. LibTorch's threads sleep while they wait: several tests run at once. A label picks them out: ctest -L LABEL.
#
#   edgellm_discover_tests(program [LABELS label])
function(edgellm_discover_tests program)
  cmake_parse_arguments(ARG "" "LABELS" "" ${ARGN})
  # An empty value would be lost on the way to ctest and take the next property's name for the label.
  set(labels)
  if(ARG_LABELS)
    set(labels LABELS "${ARG_LABELS}")
  endif()
  gtest_discover_tests(${program}
    TEST_PREFIX "${program}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120
    PROPERTIES TIMEOUT 900 ${labels} 
      ENVIRONMENT "EDGELLM_SOURCE_DIR=${PROJECT_SOURCE_DIR}" "OMP_WAIT_POLICY=passive" ENVIRONMENT_MODIFICATION
      "EDGELLM_RESULTS=set:${PROJECT_BINARY_DIR}/test-results")
endfunction()
