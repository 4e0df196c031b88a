// Studies as a person meets them: exit statuses, files that survive a kill, scripts that run as they are.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Folder {
 public:
  Folder() {
    fs::remove_all(path_);
    fs::create_directories(path_);
    std::ofstream(path_ / "study.yaml")
        << "scenario: one-node\n"
           "keys:\n"
           "  - {key: layout.tensor, values: [1, 2, 4, 8]}\n"
           "  - {key: training.micro_batch, values: [1, 2]}\n"
           "pivot: {rows: layout.tensor, columns: training.micro_batch, value: step.mfu}\n";
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }

  // Exit status of a shell line in which $R is the program; 128 + signal as shells tell it.
  int shell(const std::string& line) const {
    const std::string command =
        fmt::format("cd '{}' && R='{}' && ({}) > out 2> err", path_.string(), RUNCAST_PROGRAM, line);
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  Json answer(const std::string& line, int status = 0) const {
    CHECK(shell(line + " --format json") == status);
    return Json::parse(contents(path_ / "out"), nullptr, false);
  }

 private:
  fs::path path_ = fs::temp_directory_path() / fmt::format("runcast-studies-{}", getpid());
};

TEST_CASE("compare ends with 0 when nothing differs and with 1 when something does") {
  const Folder here;
  CHECK(here.answer("$R compare one-node one-node --trials 5")["equal"] == true);
  CHECK(here.shell(
            "$R show runs/one-node > mine.yaml && sed -i 's/micro_batch: 1/micro_batch: 2/' mine.yaml") == 0);
  const Json json = here.answer("$R compare one-node mine.yaml --trials 5", 1);
  CHECK(json["inputs"][0]["key"] == "training.micro_batch");
  CHECK(here.shell("$R compare one-node") == 2);
}

TEST_CASE("advise --fail-on ends with 1 where a row is as severe as that, and with 0 where none is") {
  const Folder here;
  const std::string advise = "$R advise one-node --search none --quiet";
  const Json json =
      here.answer(advise + " --fail-on high", 1);  // on one node idle spares, or fp8, are a fifth
  bool high = false;
  for (const Json& row : json["rows"]) high = high || row["severity"] == "high";
  CHECK(high);
  CHECK(here.shell(advise + " --fail-on critical") == 0);
  CHECK(here.shell(advise + " --fail-on grave") == 2);
  CHECK(contents(here / "err").find("legal: low medium high critical") != std::string::npos);
}

TEST_CASE("layouts that fit but break a claim of --where are not said to be too large") {
  const Folder here;
  CHECK(here.shell(
            "$R search one-node --space 'tensor=[2]' --space 'recompute=[none]' --space 'schedule=[1f1b]' "
            "--space 'micro_batch=[1]' --where 'mfu > 0.99' --no-timing") == 1);
  const std::string screen = contents(here / "out");
  CHECK(screen.find(" that fit fulfils --where\n") != std::string::npos);
  CHECK(screen.find("none fits") == std::string::npos);
  CHECK(screen.find("simulated\n") != std::string::npos);  // and no seconds, as asked
}

TEST_CASE("a sweep of which no point could be simulated ends with 1, one of which some could with 0") {
  const Folder here;
  CHECK(here.shell(
            "sed 's/layout.tensor/layout.tensr/g; /pivot/d' study.yaml > typo.yaml && $R sweep typo.yaml") ==
        1);
  CHECK(contents(here / "out").find("did you mean 'tensor'?") != std::string::npos);
  CHECK(
      here.shell(
          "printf 'scenario: one-node\nkeys: [{key: layout.tensor, values: [2, 3]}]\nresults: [step.mfu]\n' "
          "> some.yaml && $R sweep some.yaml") == 0);
}

TEST_CASE("a sweep that was killed goes on, and parts merge to the file of one process") {
  const Folder here;
  CHECK(here.shell("$R sweep study.yaml --results whole.jsonl --quiet") == 0);
  CHECK(contents(here / "out").find("PIVOT") != std::string::npos);
  CHECK(
      here.shell("head -c 700 whole.jsonl > cut.jsonl && $R sweep study.yaml --results cut.jsonl --quiet && "
                 "cmp whole.jsonl cut.jsonl") == 0);
  CHECK(
      here.shell(
          "for i in 1 2 3; do $R sweep study.yaml --results part.jsonl --shard $i/3 --quiet || exit 1; done; "
          "$R merge part.*-of-3.jsonl --results merged.jsonl && cmp whole.jsonl merged.jsonl") == 0);
  CHECK(here.shell("$R merge part.1-of-3.jsonl --results wrong.jsonl") == 2);
  CHECK(!fs::exists(here / "wrong.jsonl"));
  const Json dry = here.answer("$R sweep study.yaml --dry-run");
  CHECK(dry["points"] == 8);
  CHECK(dry["rows"][7]["layout.tensor"] == 8);
}

// Launchers are told apart by their variables; GNU parallel and mpirun are used where the machine has them.
TEST_CASE("the exported script of GNU parallel and mpirun's ranks give the file of one process") {
  const Folder here;
  REQUIRE(here.shell("$R sweep study.yaml --results whole.jsonl --quiet") == 0);
  if (here.shell("command -v parallel") == 0)
    CHECK(here.shell("$R export parallel study.yaml --shards 3 --results p.jsonl > run.sh && bash run.sh && "
                     "cmp whole.jsonl p.jsonl") == 0);
  if (here.shell("command -v mpirun") == 0)
    CHECK(here.shell(
              "mpirun --allow-run-as-root --oversubscribe -n 4 $R sweep study.yaml --results m.jsonl --shard "
              "auto "
              "-j 1 --quiet && $R merge m.*-of-4.jsonl --results m.jsonl && cmp whole.jsonl m.jsonl") == 0);
  CHECK(here.shell("$R export slurm study.yaml --shards 2 --results s.jsonl > job.sh && bash -n job.sh && "
                   "for i in 1 2; do SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=2 "
                   "bash job.sh || "
                   "exit 1; done; $R merge s.*-of-2.jsonl --results s.jsonl && cmp whole.jsonl s.jsonl") ==
        0);
}

TEST_CASE("an interrupted search says so by its status and prints what it has") {
  const Folder here;
  // The search of 8 nodes takes longer than the second until the signal.
  CHECK(
      here.shell("$R search llama3-70b --quiet --format json & pid=$!; sleep 1; kill -INT $pid; wait $pid") ==
      130);
  const Json json = Json::parse(contents(here / "out"), nullptr, false);
  REQUIRE(json.is_object());
  CHECK(json["complete"] == false);
  CHECK(json["counted"].get<std::int64_t>() > 0);
}

TEST_CASE("a search ends with 1 when nothing fits, and run --sensitivity has its tornado") {
  const Folder here;
  CHECK(
      here.answer(
              "$R search one-node --space 'tensor=[1]' --space 'sharding=[none]' --space 'recompute=[none]' "
              "--space 'context=[1]' --space 'pipeline=[1]' --quiet",
              1)["layouts"]
          .empty());
  CHECK(here.shell("$R run one-node --sensitivity --trials 5 --quiet") == 0);
  CHECK(contents(here / "out").find("SENSITIVITY") != std::string::npos);
}

}  // namespace
