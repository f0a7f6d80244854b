# The macros of Slicer that a scripted module calls, with the same destinations and the same refusals.
include(CTest) # which brings the option BUILD_TESTING

# A script keeps the path that it is given, below the folder of scripted modules, and so does a resource; that whole folder is installed. An absolute path
# lands below the folder as well. Slicer also compiles the scripts to bytecode and adds translations.
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(_module "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(_module_UNPARSED_ARGUMENTS OR NOT _module_NAME OR NOT _module_SCRIPTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule needs NAME and SCRIPTS, and does not know: ${_module_UNPARSED_ARGUMENTS}")
  endif()
  set(_folder "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  set(_copies)
  foreach(_file IN LISTS _module_SCRIPTS _module_RESOURCES)
    get_filename_component(_source "${_file}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
    if(NOT EXISTS "${_source}")
      message(FATAL_ERROR "slicerMacroBuildScriptedModule was given a file that does not exist: ${_file}")
    endif()
    add_custom_command(OUTPUT "${_folder}/${_file}" DEPENDS "${_source}" COMMAND "${CMAKE_COMMAND}" -E copy "${_source}" "${_folder}/${_file}")
    list(APPEND _copies "${_folder}/${_file}")
  endforeach()
  add_custom_target(Copy${_module_NAME}PythonFiles ALL DEPENDS ${_copies})
  install(DIRECTORY "${_folder}/" DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}" COMPONENT RuntimeLibraries USE_SOURCE_PERMISSIONS)
endmacro()

# Slicer imports the script by its name and runs its unittest classes; here it only has to exist.
macro(slicer_add_python_unittest)
  cmake_parse_arguments(_test "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${_test_SCRIPT}")
    message(FATAL_ERROR "slicer_add_python_unittest was given a script that does not exist: ${_test_SCRIPT}")
  endif()
endmacro()
