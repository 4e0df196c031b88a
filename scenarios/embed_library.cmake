# Writes a C++ source that holds every file of the library (see scenarios/library.hpp).
#   cmake -DROOT=scenarios/library -DOUTPUT=library_files.cpp -DLIST=files.txt -P embed_library.cmake
# LIST names the files under ROOT, one a line. Each file is cut at line ends into raw string literals of at most
# CHUNK bytes: compilers need not take more than 65,536, and a cut inside a UTF-8 letter would be no literal. CMake reads CR LF as LF.
set(CHUNK 30000)
set(open "R\"RUNCAST(")
set(close ")RUNCAST\"")

# The chunks of `text` as a list of literals, appended to `source` in the caller.
function(append_chunks text name)
  set(literals "")
  string(LENGTH "${text}" left)
  while(left GREATER 0)
    set(size ${left})
    if(left GREATER CHUNK)
      string(SUBSTRING "${text}" 0 ${CHUNK} head)
      string(FIND "${head}" "\n" line_end REVERSE)
      if(line_end LESS 0)
        message(FATAL_ERROR "scenarios/library/${name}: a line of more than ${CHUNK} bytes")
      endif()
      math(EXPR size "${line_end} + 1")
    endif()
    string(SUBSTRING "${text}" 0 ${size} head)
    string(SUBSTRING "${text}" ${size} -1 text)
    string(APPEND literals "    ${open}${head}${close}sv,\n")
    math(EXPR left "${left} - ${size}")
  endwhile()
  set(source "${source}${literals}" PARENT_SCOPE)
endfunction()

file(STRINGS "${LIST}" files)
set(source "// Generated from scenarios/library by embed_library.cmake.\n#include \"scenarios/library.hpp\"\n
namespace runcast::detail {\nnamespace {\n\nusing namespace std::string_view_literals;  // lengths are read off, not counted by the compiler\n\n")
set(index "")
set(number 0)
foreach(name IN LISTS files)
  file(READ "${ROOT}/${name}" text)
  string(FIND "${text}" "${close}" clash)
  string(LENGTH "${text}" length)
  if(NOT clash EQUAL -1)
    message(FATAL_ERROR "scenarios/library/${name}: holds the mark that ends a literal")
  endif()
  if(length EQUAL 0)
    message(FATAL_ERROR "scenarios/library/${name}: is empty")
  endif()
  string(APPEND source "constexpr std::string_view file_${number}[] = {\n")
  append_chunks("${text}" "${name}")
  string(APPEND source "};\n")
  string(APPEND index "    {\"${name}\", file_${number}},\n")
  math(EXPR number "${number} + 1")
endforeach()
string(APPEND source "\nconst EmbeddedFile files[] = {\n${index}};\n
}  // namespace\n
std::span<const EmbeddedFile> embedded_files() { return files; }\n
}  // namespace runcast::detail\n")
file(WRITE "${OUTPUT}" "${source}")
