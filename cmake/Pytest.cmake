# berth_pytest(LABEL [TIMEOUT seconds] [COST number]): each test_*.py of this directory is one ctest
# test of that label; the dearest are started first. The interpreter is that of the tests'
# environment (scripts/venv.sh), found when the test runs: configuring needs no network.
function(berth_pytest LABEL)
  cmake_parse_arguments(P "" "TIMEOUT;COST" "" ${ARGN})
  if(NOT P_TIMEOUT)
    set(P_TIMEOUT 600)
  endif()
  if(NOT P_COST)
    set(P_COST 0)
  endif()
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/test_*.py)
  foreach(file ${files})
    get_filename_component(name ${file} NAME_WE)
    set(test ${LABEL}/${name})
    add_test(NAME ${test} COMMAND ${PROJECT_SOURCE_DIR}/scripts/pytest.sh ${file})
    set_tests_properties(${test} PROPERTIES LABELS ${LABEL} TIMEOUT ${P_TIMEOUT} COST ${P_COST}
      ENVIRONMENT "BERTH_BUILD=${CMAKE_BINARY_DIR}")
  endforeach()
endfunction()
