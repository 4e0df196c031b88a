// The embedded library: what the binary holds is what the source tree holds, names are found, and a folder
// can be laid over it.
#include "scenarios/library.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/error.hpp"

using namespace runcast;
namespace fs = std::filesystem;

namespace {

const fs::path kRoot = fs::path(RUNCAST_SOURCE_DIR) / "scenarios/library";

std::string text_without_carriage_returns(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  std::erase(text, '\r');
  return text;
}

struct Folder {  // a library folder of its own for each test case, removed at its end
  fs::path path = fs::temp_directory_path() / ("runcast-library-test-" + std::to_string(getpid()));
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path / "models");
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path / name) << text; }
};

}  // namespace

TEST_CASE("every library file of the source tree is embedded with its whole text, and nothing else is") {
  const Library library;
  std::size_t files = 0;
  for (const auto& at : fs::recursive_directory_iterator(kRoot)) {
    if (at.path().extension() != ".yaml" && at.path().extension() != ".csv") continue;
    ++files;
    const std::string relative = at.path().lexically_relative(kRoot).generic_string();
    CAPTURE(relative);
    const auto& entries = library.entries();
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const LibraryEntry& entry) {
      return entry.path == "library:" + relative;
    });
    REQUIRE(found != entries.end());
    CHECK(found->text == text_without_carriage_returns(at.path()));
  }
  CHECK(files > 0);
  CHECK(library.entries().size() == files);
}

TEST_CASE("an overlay adds entries, replaces those of the same name, and says its own path") {
  const Folder folder;
  folder.write("models/tiny.yaml", "# Two layers, for tests\nlayers: 2\n");
  Library library;
  const std::size_t before = library.entries().size();
  library.overlay(folder.path.string());
  CHECK(library.entries().size() == before + 1);
  REQUIRE(library.find("models", "tiny") != nullptr);
  CHECK(library.find("models", "tiny")->path == (folder.path / "models/tiny.yaml").string());
  CHECK(library.find("models", "tiny")->summary() == "Two layers, for tests");

  folder.write("models/tiny.yaml", "name: 'Three layers'\nlayers: 3\n");
  library.overlay(folder.path.string());
  CHECK(library.entries().size() == before + 1);
  CHECK(library.find("models", "tiny")->text == "name: 'Three layers'\nlayers: 3\n");
  CHECK(library.find("models", "tiny")->summary() == "Three layers");
}

TEST_CASE("entries are found by name anywhere, and by folder and name") {
  const Folder folder;
  folder.write("models/tiny.yaml", "layers: 2\n");
  Library library;
  library.overlay(folder.path.string());
  CHECK(library.find_anywhere("tiny").size() == 1);
  CHECK(library.find_anywhere("models/tiny").size() == 1);
  CHECK(library.find_anywhere("runs/tiny").empty());
  CHECK(library.find("runs", "tiny") == nullptr);
}

TEST_CASE("a table without a comment is summed up by its size and its first columns") {
  const Folder folder;
  folder.write("models/cases.csv", "a,b,c,d,e\n1,2,3,4,5\n6,7,8,9,0\n");
  Library library;
  library.overlay(folder.path.string());
  REQUIRE(library.find("models", "cases") != nullptr);
  CHECK(library.find("models", "cases")->summary() == "2 rows: a, b, c, d, ...");
}

TEST_CASE("a misspelt name is an error that names the nearest entry") {
  const Folder folder;
  folder.write("models/brontosaurus-7b.yaml", "layers: 2\n");
  Library library;
  library.overlay(folder.path.string());
  CHECK_THROWS_WITH_AS(library.get("models", "brontosarus-7b", "model", "a.yaml:2:8"),
                       "a.yaml:2:8: unknown model 'brontosarus-7b', did you mean 'brontosaurus-7b'?",
                       ConfigError);
}

TEST_CASE("a folder that cannot be read, or holds no entry, is refused") {
  const Folder folder;
  Library library;
  CHECK_THROWS_WITH_AS(library.overlay("/nonexistent/library"),
                       "--library: cannot read the folder /nonexistent/library: No such file or directory",
                       ConfigError);
  CHECK_THROWS_AS(library.overlay(folder.path.string()), ConfigError);
}
