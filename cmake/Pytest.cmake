# berth_pytest(LABEL [TIMEOUT seconds]): each test_*.py of this directory is one ctest test of that
# label. The interpreter is that of the tests' environment (scripts/venv.sh), found when the test
# runs, so that configuring needs no network.
function(berth_pytest LABEL)
  cmake_parse_arguments(P "" "TIMEOUT" "" ${ARGN})
  if(NOT P_TIMEOUT)
    set(P_TIMEOUT 600)
  endif()
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/test_*.py)
  foreach(file ${files})
    get_filename_component(name ${file} NAME_WE)
    set(test ${LABEL}/${name})
    add_test(NAME ${test} COMMAND ${PROJECT_SOURCE_DIR}/scripts/pytest.sh ${file})
    set_tests_properties(${test} PROPERTIES LABELS ${LABEL} TIMEOUT ${P_TIMEOUT}
      ENVIRONMENT "BERTH_BUILD=${CMAKE_BINARY_DIR}")
  endforeach()
endfunction()
