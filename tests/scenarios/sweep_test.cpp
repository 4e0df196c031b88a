// A study's file is the same however its work was cut: by interruptions, into shards, over threads.
#include "scenarios/sweep.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/random.hpp"
#include "tests/error_of.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

const Library& library() {
  static const Library kLibrary;
  return kLibrary;
}

Study study_of(const std::string& text) {
  Document document = Document::parse(text, "study.yaml");
  return read_study(document, text, library());
}

constexpr const char* kStudy =
    "scenario: one-node\n"
    "design: latin_hypercube\n"
    "count: 90\n"
    "seed: 7\n"
    "keys:\n"
    "  - {key: layout.tensor, values: [1, 2, 3, 4, 8]}\n"  // 3 divides nothing: points that are errors
    "  - {key: training.micro_batch, values: [1, 2]}\n"
    "  - {key: economics.gpu_hour, from: 1, to: 4, unit: USD}\n";

class Folder {
 public:
  explicit Folder(const std::string& name) : path_(fs::temp_directory_path() / ("runcast-" + name)) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

ExperimentOptions with_threads(int threads) {
  ExperimentOptions options;
  options.threads = threads;
  return options;
}

TEST_CASE("a sweep that is killed 20 times at random moments, also within a line, ends with the same file") {
  const Folder folder("sweep-kill");
  const Study study = study_of(kStudy);
  const std::string whole = folder.file("whole.jsonl"), cut = folder.file("cut.jsonl");
  REQUIRE(run_sweep(study, {}, whole, library(), with_threads(2), nullptr).complete);
  RandomStream draw(1, Purpose::test, 0, 0);
  SweepProgress progress;
  for (int kill = 0; kill < 20; ++kill) {
    int looks = 0;
    progress = run_sweep(study, {}, cut, library(), with_threads(1), [&] { return ++looks > 1; });
    // What a killed process leaves: up to some byte of what it had written.
    const std::uintmax_t size = fs::file_size(cut);
    if (!progress.complete) fs::resize_file(cut, size - std::min<std::uintmax_t>(draw.below(700), size / 2));
  }
  progress = run_sweep(study, {}, cut, library(), with_threads(3), nullptr);
  CHECK(progress.complete);
  CHECK(text_of(cut) == text_of(whole));
}

TEST_CASE("a sweep that cannot be written says why, and how it goes on") {
  const Study study = study_of(kStudy);
  const auto refused = [&](const std::string& path) {
    return error_of([&] { run_sweep(study, {}, path, library(), with_threads(1), nullptr); });
  };
  CHECK(refused("/dev/full") ==
        "cannot write /dev/full: No space left on device; the points that are there stay, and the same "
        "command goes on with "
        "the others");
  CHECK(refused("no-such-folder/a.jsonl") ==
        "cannot write no-such-folder/a.jsonl: No such file or directory");
}

TEST_CASE("three shards merge to the bytes of one process; a missing and a double point are named") {
  const Folder folder("sweep-shard");
  const Study study = study_of(kStudy);
  const std::string whole = folder.file("whole.jsonl");
  run_sweep(study, {}, whole, library(), with_threads(2), nullptr);
  std::vector<MergeInput> parts;
  for (std::int64_t i = 0; i < 3; ++i) {
    const Shard shard{i, 3};
    const std::string path = shard_path(folder.file("part.jsonl"), shard);
    run_sweep(study, shard, path, library(), with_threads(1), nullptr);
    parts.push_back({path, text_of(path)});
  }
  CHECK(fs::path(parts[0].path).filename() == "part.1-of-3.jsonl");
  CHECK(merged(parts).text == text_of(whole));
  const auto message = [](const std::vector<MergeInput>& files) -> std::string {
    try {
      merged(files);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message({parts[0], parts[1], parts[2], parts[1]})
            .starts_with("merge: points are there twice: 1, 4, 7"));
  CHECK(message({parts[0], parts[2]}).starts_with("merge: points are missing: 1, 4, 7"));
  Study other = study;
  other.hash = "0";
  CHECK(message({parts[0], {"other.jsonl", header_line(other, 1, {}) + "\n"}})
            .starts_with("other.jsonl: its study is"));
  try {
    run_sweep(other, {}, whole, library(), with_threads(1), nullptr);
    FAIL("a file of another study was taken");
  } catch (const ConfigError& error) {
    CHECK(std::string(error.what()).find("holds points of another study") != std::string::npos);
  }
}

TEST_CASE("a point that is no legal scenario is a row that says why") {
  const Study study = study_of("scenario: one-node\nkeys: [{key: layout.tensor, values: [3]}]\n");
  const Json row = sweep_row(study, 0, library(), with_threads(1));
  CHECK(row["layout.tensor"] == 3);
  CHECK(row["step.time_s"].is_null());
  CHECK(row["error"].get<std::string>().find("tensor") != std::string::npos);
}

// 2 x 3 x 2 = 12 points, the last key fastest.
TEST_CASE("a grid runs through all combinations, zipped keys side by side, a list as written") {
  const Study grid = study_of(
      "scenario: one-node\nkeys: [{key: a, values: [1, 2]}, {key: b, values: [x, y, z]}, {key: c, values: "
      "[3, 4]}]\n");
  CHECK(grid.count == 12);
  CHECK(grid.point(0) == std::vector<std::string>{"a=1", "b=x", "c=3"});
  CHECK(grid.point(1) == std::vector<std::string>{"a=1", "b=x", "c=4"});
  CHECK(grid.point(11) == std::vector<std::string>{"a=2", "b=z", "c=4"});
  const Study zip = study_of(
      "scenario: one-node\ndesign: zip\nkeys: [{key: a, values: [1, 2]}, {key: b, values: [x, y]}]\n");
  CHECK(zip.count == 2);
  CHECK(zip.point(1) == std::vector<std::string>{"a=2", "b=y"});
  const Study list =
      study_of("scenario: one-node\ndesign: list\npoints: [{set: [a=1]}, {set: [a=2, b=3]}]\n");
  CHECK(list.point(1) == std::vector<std::string>{"a=2", "b=3"});
}

// 40 points over [0, 40): one in each unit, whatever the order; and each point by itself is the same.
TEST_CASE("a Latin hypercube meets each part of each range once") {
  const std::string text =
      "scenario: one-node\ndesign: latin_hypercube\ncount: 40\n"
      "keys: [{key: a, from: 0, to: 40}, {key: b, values: [p, q]}]\n";
  const Study study = study_of(text);
  std::set<int> parts;
  std::map<std::string, int> words;
  for (std::int64_t i = 0; i < 40; ++i) {
    const std::vector<std::string> point = study.point(i);
    parts.insert(static_cast<int>(std::stod(point[0].substr(2))));
    ++words[point[1]];
  }
  CHECK(parts.size() == 40);
  CHECK(words["b=p"] == 20);
  CHECK(study_of(text).point(17) == study.point(17));
}

TEST_CASE("random integers on a log scale lie in their range, with their unit") {
  const Study study = study_of(
      "scenario: one-node\ndesign: random\ncount: 50\n"
      "keys: [{key: checkpoint.interval, from: 1, to: 100, unit: min, scale: log, integer: true}]\n");
  int below_ten = 0;
  for (std::int64_t i = 0; i < 50; ++i) {
    const std::string set = study.point(i).front();
    REQUIRE(set.starts_with("checkpoint.interval="));
    CHECK(set.ends_with(" min"));
    const int value = std::stoi(set.substr(20));
    CHECK(value >= 1);
    CHECK(value <= 100);
    below_ten += value < 10 ? 1 : 0;
  }
  // Half of a log range lies below 10: 50 draws within 5 sd of 25, sd 3.5.
  CHECK(below_ten > 8);
  CHECK(below_ten < 42);
}

TEST_CASE("shards are told by number, by Slurm, by Open MPI and by PMI") {
  std::map<std::string, std::string> set;
  const auto environment = [&](const char* name) { return set.contains(name) ? set[name] : std::string(); };
  const auto is = [&](const std::string& text, std::int64_t index, std::int64_t of) {
    const Shard shard = shard_named(text, environment);
    CHECK(shard.index == index);
    CHECK(shard.of == of);
  };
  is("", 0, 1);
  is("3/8", 2, 8);
  CHECK_THROWS_AS(shard_named("0/8", environment), ConfigError);
  CHECK_THROWS_AS(shard_named("9/8", environment), ConfigError);
  CHECK_THROWS_AS(shard_named("auto", environment), ConfigError);
  set = {{"SLURM_ARRAY_TASK_ID", "5"}, {"SLURM_ARRAY_TASK_MIN", "1"}, {"SLURM_ARRAY_TASK_COUNT", "8"}};
  is("auto", 4, 8);
  set["SLURM_PROCID"] = "1";  // an array of 8 jobs of 2 tasks: 16 parts
  set["SLURM_NTASKS"] = "2";
  is("auto", 9, 16);
  set = {{"OMPI_COMM_WORLD_RANK", "2"}, {"OMPI_COMM_WORLD_SIZE", "4"}};
  is("auto", 2, 4);
  set = {{"PMI_RANK", "0"}, {"PMI_SIZE", "3"}};
  is("auto", 0, 3);
}

}  // namespace
}  // namespace runcast
