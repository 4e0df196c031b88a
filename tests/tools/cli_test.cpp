// The built program as a person or a script meets it: exit statuses, what goes to which stream, and files
// that appear whole or not at all.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/scenarios/schema_validator.hpp"

namespace {

namespace fs = std::filesystem;
using runcast::as_editor_reads;
using runcast::violation;
using Json = nlohmann::ordered_json;

struct Ran {
  int status = -1;  // exit status; 128 + the signal's number when one ended it
  std::string out, err;
};

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A folder of its own for each test case, the working directory of what is run; removed at its end.
class Workplace {
 public:
  Workplace() {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Workplace() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path_), {}));
  }

  // Runs the program; its input and, unless given, its outputs are files beside the working directory.
  Ran run(std::vector<std::string> words, const std::string& input = "", int out_descriptor = -1) const {
    const fs::path streams = path_.string() + "-streams";
    fs::create_directories(streams);
    std::ofstream(streams / "in") << input;
    std::vector<char*> arguments;
    words.insert(words.begin(), RUNCAST_PROGRAM);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      const int flags = O_WRONLY | O_CREAT | O_TRUNC;
      dup2(open((streams / "in").c_str(), O_RDONLY), 0);
      dup2(out_descriptor >= 0 ? out_descriptor : open((streams / "out").c_str(), flags, 0666), 1);
      dup2(open((streams / "err").c_str(), flags, 0666), 2);
      if (chdir(path_.c_str()) == 0) execv(RUNCAST_PROGRAM, arguments.data());
      _exit(127);
    }
    Ran ran;
    int status = 0;
    waitpid(child, &status, 0);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    ran.out = contents(streams / "out");
    ran.err = contents(streams / "err");
    fs::remove_all(streams);
    return ran;
  }

  // The scenario that `runcast init` writes, at its path.
  std::string scenario() const {
    REQUIRE(run({"init", "scenario.yaml"}).status == 0);
    return "scenario.yaml";
  }

 private:
  fs::path path_ = fs::temp_directory_path() / ("runcast-cli-test-" + std::to_string(getpid()));
};

}  // namespace

TEST_CASE("--version and help go to standard output with status 0; no command at all is bad usage") {
  const Workplace here;
  CHECK(here.run({"--version"}).out.starts_with("runcast "));
  CHECK(here.run({"help"}).out.find("usage: runcast COMMAND") != std::string::npos);
  CHECK(here.run({"step", "-h"}).out.starts_with("usage: runcast step SCENARIO"));
  const Ran nothing = here.run({});
  CHECK(nothing.status == 2);
  CHECK(nothing.out.empty());
  CHECK(nothing.err.find("usage: runcast COMMAND") != std::string::npos);
}

TEST_CASE("bad usage is status 2, a sentence on standard error, and nothing on standard output") {
  const Workplace here;
  const Ran command = here.run({"rnu", "x"});
  CHECK(command.status == 2);
  CHECK(command.out.empty());
  CHECK(command.err == "unknown command 'rnu', did you mean 'run'?\n");
  CHECK(here.run({"list", "--frmat", "json"}).err ==
        "runcast list: unknown option '--frmat', did you mean '--format'?\n");
  CHECK(here.run({"run", "no-such-scenario-anywhere"}).status == 2);
  CHECK(here.run({"run", "missing.yaml"}).status == 2);
  CHECK(here.run({"list", "--library", "missing"}).err ==
        "--library: cannot read the folder missing: No such file or directory\n");
  CHECK(here.run({"validate", "--cases", "."}).err == "--cases: . is a directory\n");
  CHECK(here.run({"explain", "mfu", "--result", "."}).err == "--result: . is a directory\n");
  CHECK(here.run({"goodput", "one-node", "--trials", "1e12"}).err ==
        "--trials: 1e12 is too large; at most 1,000,000\n");
}

TEST_CASE("times that the clock cannot carry are told at their place, none is a bug") {
  const Workplace here;
  for (const char* wrong : {"checkpoint.interval=1e9 days", "recovery.detect=1000 years", "training.tokens=0",
                            "failures={classes: [{name: a, rate: 1e12 /node-day}]}"}) {
    const Ran ran = here.run({"run", "one-node", "--set", wrong});
    CAPTURE(ran.err);
    CHECK(ran.status == 2);
    CHECK(ran.err.starts_with("--set " + std::string(wrong) + ": "));
  }
}

TEST_CASE("a run against which failures come faster than progress is status 1 in no time, with no days") {
  const Workplace here;
  const std::string hopeless = "failures={classes: [{name: a, rate: 1000 /node-hour}]}";
  const Ran screen = here.run({"run", "one-node", "--set", hopeless});
  CHECK(screen.status == 1);
  CHECK(screen.out.find("RUN   does not finish") != std::string::npos);
  CHECK(screen.out.find("COST   unknown: the run does not finish") != std::string::npos);
  const Json result = Json::parse(here.run({"run", "one-node", "--set", hopeless, "--format", "json"}).out);
  CHECK(result["run"]["unfinished"] == result["run"]["trials"]);
  CHECK(result["run"]["days"]["mean"].is_null());
  CHECK(result["cost"]["usd"].is_null());
}

TEST_CASE("the scenario that init writes runs as it stands, and init does not overwrite it unasked") {
  const Workplace here;
  const Ran ran = here.run({"run", here.scenario()});
  CHECK(ran.status == 0);
  CHECK(ran.err.empty());
  for (const char* part : {"STEP", "MFU", "MEMORY", "GiB", "RUN", "days", "COST", "USD", "seed 1"})
    CHECK(ran.out.find(part) != std::string::npos);
  const Ran again = here.run({"init", "scenario.yaml"});
  CHECK(again.status == 2);
  CHECK(again.err == "init: scenario.yaml exists; --force overwrites it\n");
  CHECK(here.run({"init", "scenario.yaml", "--force"}).status == 0);
}

// "  # placement: packed   # packed | ..." becomes "  placement: packed   # packed | ...".
TEST_CASE("the defaults that init shows as comments are keys of the scenario, and are the defaults") {
  const Workplace here;
  REQUIRE(here.run({"init", "scenario.yaml"}).status == 0);
  std::istringstream lines(contents(here / "scenario.yaml"));
  std::ofstream written(here / "written.yaml");
  int uncommented = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto hash = line.find("  # ");
    if (hash == 0 && line.find(": ") != std::string::npos) {
      line = "  " + line.substr(4);
      ++uncommented;
    }
    written << line << '\n';
  }
  written.close();
  CHECK(uncommented >= 10);
  const auto step_of = [&](const char* file) {
    const Ran ran = here.run({"step", file, "--format", "json"});
    CHECK(ran.err == "");
    return Json::parse(ran.out)["step"];
  };
  CHECK(step_of("written.yaml") == step_of("scenario.yaml"));
}

TEST_CASE("a scenario comes from standard input as well as from a file, with the same result") {
  const Workplace here;
  const std::string file = here.scenario();
  const Ran from_file = here.run({"step", file, "--format", "json", "--no-timing"});
  const Ran from_input = here.run({"step", "-", "--format", "json", "--no-timing"}, contents(here / file));
  REQUIRE(from_file.status == 0);
  CHECK(from_file.out == from_input.out);
}

TEST_CASE("the same bytes come out for 1, 2 and 7 threads") {
  const Workplace here;
  const std::string file = here.scenario();
  const std::string one = here.run({"run", file, "--format", "json", "--no-timing", "-j", "1"}).out;
  CHECK_FALSE(one.empty());
  CHECK(one == here.run({"run", file, "--format", "json", "--no-timing", "-j", "2"}).out);
  CHECK(one == here.run({"run", file, "--format", "json", "--no-timing", "-j", "7"}).out);
}

TEST_CASE("--set changes a value, and a wrong value is told at its --set") {
  const Workplace here;
  const std::string file = here.scenario();
  const Json base = Json::parse(here.run({"step", file, "--format", "json"}).out);
  const Json changed =
      Json::parse(here.run({"step", file, "--format", "json", "--set", "training.micro_batch=2"}).out);
  CHECK(changed["scenario"]["training"]["micro_batch"] != base["scenario"]["training"]["micro_batch"]);
  const Ran wrong = here.run({"step", file, "--set", "layout.tensr=4"});
  CHECK(wrong.status == 2);
  CHECK(wrong.err.find("did you mean 'tensor'?") != std::string::npos);
}

TEST_CASE("a layout that does not fit is status 1, with the whole result printed") {
  const Workplace here;
  const Ran ran = here.run({"memory", here.scenario(), "--format", "json", "--set", "layout.tensor=1",
                            "--set", "layout.pipeline=1", "--set", "training.sharding=none"});
  CHECK(ran.status == 1);
  const Json result = Json::parse(ran.out);
  CHECK(result["step"]["memory"]["fits"] == false);
  CHECK(result["step"]["memory"]["stages"].size() == 1);
}

TEST_CASE("a claim that fails is status 1 with the value on standard error; a wrong claim is status 2") {
  const Workplace here;
  const std::string file = here.scenario();
  CHECK(here.run({"step", file, "--assert", "step.mfu > 0.01 and step.memory.fits"}).status == 0);
  const Ran failed = here.run({"step", file, "--assert", "step.mfu > 0.99"});
  CHECK(failed.status == 1);
  CHECK(failed.out.find("STEP") != std::string::npos);
  CHECK(failed.err.starts_with("assertion failed: step.mfu > 0.99 (step.mfu is 0."));
  CHECK(here.run({"step", file, "--assert", "step.mfuu > 0.99"}).status == 2);
  const Ran nonsense = here.run({"step", "no-such-file.yaml", "--assert", "step.mfu >"});
  CHECK(nonsense.err.starts_with("--assert"));  // told before the scenario is even opened
}

TEST_CASE("-o writes the format of its suffix, leaves nothing else behind and nothing on standard output") {
  const Workplace here;
  CHECK(here.run({"list", "-o", "a.json"}).out.empty());
  CHECK(Json::parse(contents(here / "a.json")).contains("rows"));
  CHECK(here.run({"list", "-o", "a.csv"}).status == 0);
  CHECK(contents(here / "a.csv").starts_with("kind,name,summary,path\n"));
  CHECK(here.files() == 2);
  CHECK(here.run({"list", "-o", "a.xls"}).status == 2);
  CHECK(here.run({"list", "-o", "missing/a.json"}).err ==
        "cannot write missing/a.json: No such file or directory\n");
  CHECK(here.files() == 2);
}

TEST_CASE("an option that changes nothing without another is refused, not passed over") {
  const Workplace here;
  const auto refused = [&](std::vector<std::string> words) {
    const Ran ran = here.run(std::move(words));
    CHECK(ran.status == 2);
    return ran.err;
  };
  CHECK(refused({"model", "llama3-8b", "--power", "330 W"}) ==
        "--power: it changes nothing without --tokens; give both, or neither\n");
  CHECK(refused({"model", "llama3-8b", "--peak", "1979 TFLOP/s"}) ==
        "--peak: it changes nothing without --measured; give both, or neither\n");
  CHECK(refused({"scaling", "--compute", "1e23", "--precision", "fp8"}) ==
        "--precision: it changes nothing without --gpu; give both, or neither\n");
  CHECK(here.run({"model", "llama3-8b", "--power", "330 W", "--tokens", "1M"}).status == 0);
}

TEST_CASE("a command that fails leaves the file of an earlier one as it was") {
  const Workplace here;
  std::ofstream(here / "a.json") << "earlier";
  CHECK(here.run({"run", "no-such-scenario-anywhere", "-o", "a.json"}).status == 2);
  CHECK(contents(here / "a.json") == "earlier");
  CHECK(here.files() == 1);
}

TEST_CASE("a full disk is an error, a reader that has gone is none") {
  const Workplace here;
  const int full = open("/dev/full", O_WRONLY);
  const Ran ran = here.run({"list"}, "", full);
  close(full);
  CHECK(ran.status == 2);
  CHECK(ran.err == "cannot write standard output: No space left on device\n");
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  close(ends[0]);
  const Ran gone = here.run({"list"}, "", ends[1]);
  close(ends[1]);
  CHECK(gone.status == 0);
  CHECK(gone.err.empty());
}

TEST_CASE("show prints an entry word for word, and a near name for one that is not there") {
  const Workplace here;
  CHECK(here.run({"show", "models/llama3-405b"}).out ==
        contents(fs::path(RUNCAST_SOURCE_DIR) / "scenarios/library/models/llama3-405b.yaml"));
  CHECK(here.run({"show", "llama3-405"}).err ==
        "show: the library has no 'llama3-405', did you mean 'llama3-405b'?\n");
  CHECK(here.run({"list", "model"}).err.starts_with("list: unknown kind 'model', did you mean 'models'?"));
}

TEST_CASE("explain tells a formula, and a result's own value") {
  const Workplace here;
  CHECK(here.run({"explain", "mfu"}).out.find("mfu = model FLOPs of a step") != std::string::npos);
  CHECK(here.run({"explain", "goodputt"}).err ==
        "explain: unknown term 'goodputt', did you mean 'goodput'?\n");
  std::ofstream(here / "result.json") << R"({"step": {"mfu": 0.404, "time_s": 2.5}})";
  CHECK(here.run({"explain", "mfu", "--result", "result.json"}).out.find("in result.json: 0.404\n") !=
        std::string::npos);
  CHECK(here.run({"explain", "step.time_s", "--result", "result.json"}).out.find("in result.json: 2.5 s\n") !=
        std::string::npos);
}

TEST_CASE("explain tells a key of the scenario, and the nearest where there is none such") {
  const Workplace here;
  const std::string tensor = here.run({"explain", "layout.tensor"}).out;
  CHECK(tensor.find("Ranks that share each matrix") != std::string::npos);
  CHECK(tensor.find("left out: 1") != std::string::npos);
  CHECK(here.run({"explain", "schedule.name"}).out.find("legal: gpipe | 1f1b | interleaved_1f1b") !=
        std::string::npos);
  CHECK(here.run({"explain", "recovery"}).out.find("recovery.policy") != std::string::npos);
  CHECK(here.run({"explain", "layout.tensr"}).err ==
        "explain: unknown key 'layout.tensr', did you mean 'layout.tensor'?\n");
}

TEST_CASE("schema prints a draft-07 schema by which what init writes is valid") {
  const Workplace here;
  const Json schema = Json::parse(here.run({"schema"}).out);
  CHECK(schema["$schema"] == "http://json-schema.org/draft-07/schema#");
  CHECK(violation(schema, schema, as_editor_reads(here.run({"init"}).out), "") == "");
  CHECK(here.run({"init"}).out.starts_with("# yaml-language-server: $schema="));
  const Json study = Json::parse(here.run({"schema", "study"}).out);
  CHECK(violation(study, study, as_editor_reads("scenario: a\nkeys: [{key: b, values: [1, 2]}]\n"), "") ==
        "");
  CHECK(here.run({"schema", "modl"}).err.starts_with("schema: unknown kind 'modl', did you mean 'model'?"));
  CHECK(here.run({"schema", "--format", "md"}).out.starts_with("# Every key of a scenario"));
}

TEST_CASE("export chakra writes a trace of each rank and the groups") {
  const Workplace here;
  const Ran ran =
      here.run({"export", "chakra", "one-node", "--prefix", "step", "--set", "training.global_batch=8"});
  CHECK(ran.err == "");
  CHECK(ran.status == 0);
  for (const char* file : {"step.0.et", "step.7.et"}) CHECK(contents(here / file).size() > 1000);
  CHECK(Json::parse(contents(here / "step.json")).contains("1"));
  CHECK(here.run({"export", "chakra", "llama3-405b-16k", "--prefix", "large"})
            .err.find("name fewer by --ranks") != std::string::npos);
}

TEST_CASE("import reads a topology of NCCL and a workload of AICB from files") {
  const Workplace here;
  const std::string fixtures = std::string(RUNCAST_SOURCE_DIR) + "/tests/scenarios/fixtures/";
  const Ran node = here.run({"import", "nccl-topo", fixtures + "nccl-hgx-h100.xml"});
  CHECK(node.err == "");
  CHECK(node.out.find("these are the figures of the library's hgx-h100") != std::string::npos);
  const Ran workload = here.run({"import", "aicb", fixtures + "aicb-llama-7b.txt"});
  CHECK(workload.err == "");
  CHECK(workload.out.find("#   tensor parallel") != std::string::npos);
  CHECK(workload.out.find("\nmodel: llama-7b\n") != std::string::npos);
}

TEST_CASE("doctor finds a sound installation") {
  const Workplace here;
  const Ran ran = here.run({"doctor"});
  CAPTURE(ran.out);
  CHECK(ran.status == 0);
}

TEST_CASE("outputs are written through links, and two of them cannot share a file") {
  const Workplace here;
  fs::create_symlink("result.json", here / "link.json");  // to a file that is not there yet
  CHECK(here.run({"memory", "one-node", "-o", "link.json"}).status == 0);
  CHECK(fs::is_symlink(here / "link.json"));
  CHECK(contents(here / "result.json").starts_with("{"));
  const Ran twice = here.run({"step", "one-node", "--trace", "t.json", "-o", "t.json"});
  CHECK(twice.status == 2);
  CHECK(twice.err.find("t.json is named for two outputs; give each a file of its own") != std::string::npos);
  CHECK(here.files() == 2);
}

TEST_CASE("completion scripts name every command, for the three shells and no other") {
  const Workplace here;
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = here.run({"completion", shell}).out;
    for (const char* command : {"run", "step", "goodput", "memory", "explain"})
      CHECK(script.find(command) != std::string::npos);
  }
  CHECK(here.run({"completion", "tcsh"}).status == 2);
  CHECK(here.run({"completion", "bash", "zsh"}).status == 2);
  CHECK(here.run({"completion", "man"}).out.find(".SS explain [TERM]") != std::string::npos);
  // An explanation in backquotes was once run by the shell: words are never expanded.
  CHECK(here.run({"completion", "bash"}).out.find("compgen -W") == std::string::npos);
  CHECK(here.run({"completion", "words", "import"}).out.find("\nmegatron\n") != std::string::npos);
  CHECK(here.run({"completion", "words", "run", "format"}).out == "csv\njson\njsonl\nmd\ntable\n");
  CHECK(here.run({"completion", "words", "advise"}).out.find("llama3-70b\n") != std::string::npos);
}

TEST_CASE("step --unfolded follows the critical path, and faults do so without being asked") {
  const Workplace here;
  const Ran equal = here.run({"step", "one-node", "--unfolded", "--format", "json"});
  REQUIRE(equal.status == 0);
  const Json step = Json::parse(equal.out)["step"];
  double sum = 0;
  for (const Json& cause : step["unfolded"]["critical_path"]["causes"]) sum += cause["time_s"].get<double>();
  CHECK(sum == doctest::Approx(step["time_s"].get<double>()).epsilon(1e-9));
  CHECK(step["unfolded"]["symmetric_time_s"] == step["time_s"]);
  const Ran slow = here.run({"step", "one-node", "--set", "cluster.faults=[{rank: 3, slowdown: 1.1}]"});
  REQUIRE(slow.status == 0);
  CHECK(slow.out.find("slows the critical path most: rank 3") != std::string::npos);
  const Ran nowhere = here.run({"step", "one-node", "--set", "cluster.faults=[{rank: 8, slowdown: 1.1}]"});
  CHECK(nowhere.status == 2);
  CHECK(nowhere.err.find("rank 8 does not exist; the job's are 0 to 7") != std::string::npos);
}

TEST_CASE("an answer and its status stand when nobody can read standard error") {
  const Workplace here;
  const std::string line = std::string(RUNCAST_PROGRAM) + " step one-node --assert 'step.mfu > 0.9' >" +
                           (here / "out").string() + " 2>/dev/full";
  CHECK(WEXITSTATUS(std::system(line.c_str())) == 1);
  CHECK(contents(here / "out").find("STEP") != std::string::npos);
}

TEST_CASE("a library's name in capitals or with a suffix is told as it is") {
  const Workplace here;
  CHECK(here.run({"step", "one-node.yaml"}).err ==
        "one-node.yaml: no such file; the library's is called one-node\n");
  CHECK(here.run({"step", "ONE-NODE"}).err ==
        "runcast: unknown scenario 'ONE-NODE', did you mean 'one-node'?\n");
}

TEST_CASE("kinds are found by their last word, and names by how they begin") {
  const Workplace here;
  CHECK(here.run({"list", "nodes"}).out == here.run({"list", "hardware/nodes"}).out);
  CHECK(here.run({"show", "gpt-1"}).err == "show: the library has no 'gpt-1', did you mean 'gpt-1t'?\n");
  CHECK(here.run({"show", "llama3"})
            .err.starts_with("show: the library has no 'llama3'; so begin: fabrics/llama3-roce, "
                             "failures/llama3-54-day, models/llama3-405b, "));
}
