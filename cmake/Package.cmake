# berth_package(NAME DEPS … PRIVATE_DEPS …): pkg/NAME/*.c as the static library berth_NAME. DEPS are
# what its headers may name too; PRIVATE_DEPS (third-party libraries) stay inside.
# A package whose directory has no source yet is an interface library, so that the layers can be
# declared at once.
function(berth_package NAME)
  cmake_parse_arguments(P "" "" "DEPS;PRIVATE_DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/pkg/${NAME}/*.c)
  if(NOT sources)
    add_library(berth_${NAME} INTERFACE)
    target_include_directories(berth_${NAME} INTERFACE ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(berth_${NAME} INTERFACE ${P_DEPS} ${P_PRIVATE_DEPS})
    return()
  endif()
  add_library(berth_${NAME} STATIC ${sources})
  target_include_directories(berth_${NAME} PUBLIC ${PROJECT_SOURCE_DIR}/include
    PRIVATE ${PROJECT_SOURCE_DIR}/pkg/${NAME})
  target_link_libraries(berth_${NAME} PUBLIC ${P_DEPS} PRIVATE berth_flags ${P_PRIVATE_DEPS})
endfunction()

# berth_program(NAME DEPS … [NO_INSTALL]): cmd/NAME/*.c as build/bin/NAME.
function(berth_program NAME)
  cmake_parse_arguments(P "NO_INSTALL" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cmd/${NAME}/*.c)
  if(NOT sources)
    return()
  endif()
  add_executable(${NAME} ${sources})
  target_include_directories(${NAME} PRIVATE ${PROJECT_SOURCE_DIR}/cmd/${NAME})
  target_compile_definitions(${NAME} PRIVATE BERTH_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${NAME} PRIVATE ${P_DEPS} berth_flags)
  if(NOT P_NO_INSTALL)
    install(TARGETS ${NAME} RUNTIME)
  endif()
endfunction()
