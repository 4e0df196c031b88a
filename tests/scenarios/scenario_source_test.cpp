// Where a scenario's text comes from.
#include "scenarios/scenario_source.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tests/scenarios/experiment_helpers.hpp"

using namespace runcast;

// `runcast step <(make_scenario)`: a second look at a pipe finds it empty.
TEST_CASE("a scenario may come from a pipe: it is read once, and opened as often as asked") {
  const std::string path =
      std::filesystem::temp_directory_path() / ("runcast-pipe-" + std::to_string(getpid()) + ".yaml");
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const std::string text = "name: piped\n";
  std::thread writer([&] { std::ofstream(path) << text; });
  const ScenarioSource source = scenario_source(path, Library());
  writer.join();
  std::filesystem::remove(path);
  CHECK(source.text == text);
  CHECK(source.open().root().text("name") == "piped");
  CHECK(source.open().root().text("name") == "piped");
}

TEST_CASE("a file that cannot be read says why, before anything is simulated") {
  CHECK(error_of([] { scenario_source("/nowhere/x.yaml", Library()); }) ==
        "/nowhere/x.yaml: cannot be read: no such file");
  CHECK(error_of([] { scenario_source("/tmp/", Library()); }) == "/tmp/: cannot be read: is a directory");
}
