// The rules of the source tree that a machine can hold: includes point to the left
//   sim <- topology <- parallelism <- failures <- scenarios <- tools
// and a file is self-contained, guarded, short, and knows no path outside the repository.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 6> kFolders = {"sim",      "topology",  "parallelism",
                                                      "failures", "scenarios", "tools"};
constexpr std::size_t kLongestFile = 700;  // lines; "a file is one idea"

struct SourceFile {
  std::string path;  // from the root
  std::vector<std::string> lines;
  bool is_header() const { return path.ends_with(".hpp"); }
};

std::vector<SourceFile> files_with(std::initializer_list<std::string_view> suffixes, bool with_tests) {
  const fs::path root = RUNCAST_SOURCE_DIR;
  std::vector<std::string_view> folders(kFolders.begin(), kFolders.end());
  if (with_tests) folders.push_back("tests");
  std::vector<SourceFile> files;
  for (const std::string_view folder : folders) {
    for (const auto& at : fs::recursive_directory_iterator(root / folder)) {
      const std::string path = at.path().lexically_relative(root).generic_string();
      const bool wanted = std::any_of(suffixes.begin(), suffixes.end(),
                                      [&](std::string_view suffix) { return path.ends_with(suffix); });
      if (!wanted || !at.is_regular_file()) continue;
      SourceFile file{path, {}};
      std::ifstream in(at.path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  return files;
}

// The text between the quotes of `#include "..."`, or the brackets of `#include <...>`; "" for other lines.
std::string included(const std::string& line, char open, char close) {
  const auto hash = line.find_first_not_of(' ');
  if (hash == std::string::npos || line.compare(hash, 8, "#include") != 0) return {};
  const auto begin = line.find(open, hash);
  const auto end = begin == std::string::npos ? begin : line.find(close, begin + 1);
  return end == std::string::npos ? std::string() : line.substr(begin + 1, end - begin - 1);
}

std::size_t rank_of(std::string_view folder) {
  return static_cast<std::size_t>(std::find(kFolders.begin(), kFolders.end(), folder) - kFolders.begin());
}

}  // namespace

TEST_CASE("no file includes a folder to the right of its own, and includes are written from the root") {
  for (const SourceFile& file : files_with({".hpp", ".cpp"}, true)) {
    const std::string own = file.path.substr(0, file.path.find('/'));
    for (const std::string& line : file.lines) {
      const std::string header = included(line, '"', '"');
      if (header.empty()) continue;
      CAPTURE(file.path);
      CAPTURE(header);
      const std::string folder = header.substr(0, header.find('/'));
      if (own == "tests" && folder == "tests") continue;
      CHECK(rank_of(folder) < kFolders.size());
      if (own != "tests") CHECK(rank_of(folder) <= rank_of(own));
    }
  }
}

TEST_CASE(
    "only sim/yaml_tree.cpp uses yaml-cpp, and no library that is slow to compile spreads through headers") {
  const auto files = files_with({".hpp", ".cpp"}, false);
  std::set<std::string> spread;  // headers that a header includes
  for (const SourceFile& file : files)
    if (file.is_header())
      for (const std::string& line : file.lines) spread.insert(included(line, '"', '"'));
  for (const SourceFile& file : files) {
    for (const std::string& line : file.lines) {
      const std::string header = included(line, '<', '>');
      const bool slow =
          header.starts_with("boost/graph/") || header.starts_with("Eigen/") || header == "nlohmann/json.hpp";
      CAPTURE(file.path);
      CAPTURE(header);
      if (header.starts_with("yaml-cpp/")) CHECK(file.path == "sim/yaml_tree.cpp");
      if (file.is_header() && slow) CHECK(spread.count(file.path) == 0);
    }
  }
}

TEST_CASE("only tools prints or ends the process") {
  for (const SourceFile& file : files_with({".hpp", ".cpp"}, false)) {
    if (file.path.starts_with("tools/")) continue;
    for (const std::string& line : file.lines) {
      if (line.starts_with("//")) continue;
      CAPTURE(file.path);
      CAPTURE(line);
      for (const std::string_view word :
           {"std::cout", "std::cerr", "std::exit(", "std::printf(", "fprintf(", "std::abort("})
        CHECK(line.find(word) == std::string::npos);
    }
  }
}

TEST_CASE("every header has #pragma once") {
  for (const SourceFile& file : files_with({".hpp"}, true)) {
    CAPTURE(file.path);
    CHECK(std::count(file.lines.begin(), file.lines.end(), "#pragma once") == 1);
  }
}

TEST_CASE("every header, and every source file without one, begins with a comment that says what it is") {
  const auto files = files_with({".hpp", ".cpp"}, false);
  std::set<std::string> headers;
  for (const SourceFile& file : files)
    if (file.is_header()) headers.insert(file.path.substr(0, file.path.size() - 4));
  for (const SourceFile& file : files) {
    if (!file.is_header() && headers.count(file.path.substr(0, file.path.size() - 4)) == 1) continue;
    CAPTURE(file.path);
    REQUIRE_FALSE(file.lines.empty());
    CHECK(file.lines.front().starts_with("// "));
  }
}

TEST_CASE("no source file is longer than 700 lines") {
  for (const SourceFile& file : files_with({".hpp", ".cpp"}, true)) {
    CAPTURE(file.path);
    CHECK(file.lines.size() <= kLongestFile);
  }
}

TEST_CASE("no file of the project names a path outside the repository") {
  const std::string parent = "..";  // in two parts, so that this file passes its own test
  for (const SourceFile& file :
       files_with({".hpp", ".cpp", ".txt", ".cmake", ".yaml", ".csv", ".sh"}, true)) {
    for (const std::string& line : file.lines) {
      CAPTURE(file.path);
      CAPTURE(line);
      CHECK(line.find(parent + "/shared") == std::string::npos);
      CHECK(line.find(std::string("/work") + "/") == std::string::npos);
    }
  }
}
