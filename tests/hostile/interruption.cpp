// What is left of an interrupted run:  interruption_check PROGRAM COUNT [SEED]
// Stops run, run --report, step --trace, search and sweep COUNT times at drawn moments by SIGINT, SIGTERM, SIGKILL and
// by a disk that is full after a drawn number of bytes, and asserts each time: the file of the final name is not there
// or whole; a status of 130 after a signal that can be caught, 2 and a sentence after a full disk; no temporary file is
// left but by SIGKILL, and that one goes with the next run; a sweep that goes on ends with the bytes of one that was
// never stopped. Then a closed pipe, and a locale with a decimal comma where one can be made.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/random.hpp"

namespace {

namespace fs = std::filesystem;
using namespace runcast;
using Words = std::vector<std::string>;
using Json = nlohmann::ordered_json;

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Stop {
  int signal = 0;             // 0: none
  useconds_t after = 0;       // microseconds from the start
  long long most_bytes = -1;  // of any file; -1: no limit
};

struct Ran {
  int status = 0;  // 128 + the signal's number when one ended it
  std::string said;
  double seconds = 0;
};

class Place {
 public:
  explicit Place(std::string program) : program_(std::move(program)) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Place() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }

  Ran run(Words words, const Stop& stop, const std::string& locale = "") const {
    words.insert(words.begin(), program_);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const auto start = std::chrono::steady_clock::now();
    const pid_t child = fork();
    if (child == 0) {
      dup2(open("/dev/null", O_RDONLY), 0);
      dup2(open((path_ / "out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666), 1);
      dup2(open((path_ / "err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666), 2);
      if (!locale.empty()) setenv("LC_ALL", locale.c_str(), 1);
      if (stop.most_bytes >= 0) {
        const rlimit size{static_cast<rlim_t>(stop.most_bytes), static_cast<rlim_t>(stop.most_bytes)};
        setrlimit(RLIMIT_FSIZE, &size);
      }
      if (chdir(path_.c_str()) == 0) execv(program_.c_str(), arguments.data());
      _exit(127);
    }
    if (stop.signal != 0) {
      usleep(stop.after);
      kill(child, stop.signal);
    }
    int status = 0;
    waitpid(child, &status, 0);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), contents(path_ / "err"),
            took.count()};
  }

  std::size_t leftovers() const {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(path_))
      count += entry.path().filename().string().find(".tmp-") != std::string::npos ? 1 : 0;
    return count;
  }

 private:
  std::string program_;
  fs::path path_ = fs::temp_directory_path() / ("runcast-interruption-" + std::to_string(getpid()));
};

struct Job {
  std::string_view name;
  Words words;
  std::string file;    // what it writes
  bool keeps = false;  // what is finished is written when it is asked to stop
  bool grows = false;  // the file of a sweep: rows as they are done
};

class Check {
 public:
  Check(std::string program, std::uint64_t seed)
      : place_(program), program_(std::move(program)), random_(seed, Purpose::test, 1, 0) {
    std::ofstream(place_ / "study.yaml") << "scenario: one-node\ndesign: grid\nanswer: run\nkeys:\n  - {key: "
                                            "layout.tensor, values: [1, 2, 4, 8]}\n"
                                            "  - {key: training.micro_batch, values: [1, 2, 4, 8]}\n";
    for (const Job& job : jobs_) {
      const Ran whole = place_.run(job.words, {});
      expect(whole.status == 0, job, "the whole run", whole);
      reference_[job.file] = contents(place_ / job.file);
      seconds_[job.file] = whole.seconds;
      fs::remove(place_ / job.file);
    }
  }

  void once(std::size_t number) {
    const Job& job = jobs_[number % jobs_.size()];
    const std::string& whole = reference_[job.file];
    Stop stop;
    const std::uint64_t kind = random_.below(4);
    if (kind < 3) {
      stop.signal = std::array{SIGINT, SIGTERM, SIGKILL}[kind];
      stop.after = static_cast<useconds_t>(1e6 * 1.1 * seconds_[job.file] * random_.uniform());
    } else {
      stop.most_bytes = static_cast<long long>(random_.below(whole.size()));
    }
    const Ran ran = place_.run(job.words, stop);
    ++counts_[kind];
    judge(job, stop, ran, whole);
    if (job.grows) finish_sweep(job, whole);
    if (stop.signal == SIGKILL && place_.leftovers() > 0) {
      const Ran again = place_.run(job.words, {});
      expect(again.status == 0 && place_.leftovers() == 0, job, "the next run cleans up", again);
      ++cleaned_;
    }
    for (const Job& any : jobs_) fs::remove(place_ / any.file);
  }

  void closed_pipe() {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) return;
    close(ends[0]);
    const pid_t child = fork();
    if (child == 0) {
      dup2(ends[1], 1);
      dup2(open((place_ / "err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666), 2);
      execl(program_.c_str(), program_.c_str(), "list", nullptr);
      _exit(127);
    }
    close(ends[1]);
    int status = 0;
    waitpid(child, &status, 0);
    const Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), contents(place_ / "err"),
                  0};
    expect(ran.status == 0 && ran.said.empty(), jobs_.front(), "a closed pipe ends it quietly", ran);
  }

  // False where the locale cannot be made here.
  bool decimal_comma() {
    const std::string folder = (place_ / "locales").string();
    fs::create_directories(folder);
    const std::string make = "localedef -i de_DE -f UTF-8 " + folder + "/de_DE.UTF-8 >/dev/null 2>&1";
    if (std::system(make.c_str()) > 255 || !fs::exists(folder + "/de_DE.UTF-8/LC_NUMERIC")) return false;
    setenv("LOCPATH", folder.c_str(), 1);
    for (const Words& words :
         {Words{"run", "one-node"}, Words{"run", "one-node", "--format", "json", "--no-timing"},
          Words{"search", "one-node", "--format", "csv", "--no-timing", "--quiet"}}) {
      const Ran plain = place_.run(words, {}, "C.UTF-8");
      const std::string expected = contents(place_ / "out");
      const Ran comma = place_.run(words, {}, "de_DE.UTF-8");
      expect(plain.status == 0 && comma.status == 0 && contents(place_ / "out") == expected, jobs_.front(),
             "the same bytes with a decimal comma", comma);
    }
    return true;
  }

  bool told() const {
    std::printf(
        "SIGINT %d, SIGTERM %d, SIGKILL %d, full disk %d; %d ended before, %d sweeps went on, %d leftovers "
        "cleaned; %d wrong\n",
        counts_[0], counts_[1], counts_[2], counts_[3], finished_, resumed_, cleaned_, wrong_);
    return wrong_ == 0;
  }

 private:
  void expect(bool holds, const Job& job, std::string_view what, const Ran& ran) {
    if (holds) return;
    ++wrong_;
    std::printf("FAILED %.*s: %.*s: status %d, said: %s\n", static_cast<int>(job.name.size()),
                job.name.data(), static_cast<int>(what.size()), what.data(), ran.status, ran.said.c_str());
  }

  void judge(const Job& job, const Stop& stop, const Ran& ran, const std::string& whole) {
    const std::string left = contents(place_ / job.file);
    const bool there = fs::exists(place_ / job.file);
    if (ran.status == 0) ++finished_;
    if (job.grows) {
      expect(whole.starts_with(left), job, "the rows so far are the beginning of all", ran);
    } else if (there && left != whole) {
      const Json partial = Json::parse(left, nullptr, false);
      expect(
          job.keeps && ran.status == 130 && partial.is_object() && partial.value("complete", true) == false,
          job, "the file is whole or not there", ran);
    }
    if (ran.status == 0) expect(left == whole, job, "done means all of it", ran);
    if (stop.signal == SIGINT || stop.signal == SIGTERM)
      // Before the program has set its handlers a signal ends it as any other.
      expect(ran.status == 0 || ran.status == 130 || (ran.status == 128 + stop.signal && !there), job,
             "a signal is status 130", ran);
    if (stop.signal == SIGKILL) expect(ran.status == 0 || ran.status == 128 + SIGKILL, job, "killed", ran);
    if (stop.most_bytes >= 0)
      expect(ran.status == 2 && ran.said.find("cannot write") != std::string::npos, job,
             "a full disk is told", ran);
    if (stop.signal != SIGKILL) expect(place_.leftovers() == 0, job, "no temporary file is left", ran);
  }

  void finish_sweep(const Job& job, const std::string& whole) {
    const Ran again = place_.run(job.words, {});
    expect(again.status == 0 && contents(place_ / job.file) == whole, job, "going on loses nothing", again);
    ++resumed_;
  }

  Place place_;
  std::string program_;
  RandomStream random_;
  const std::vector<Job> jobs_ = {
      {"run", {"run", "one-node", "--trials", "20", "-o", "run.json", "--no-timing"}, "run.json"},
      {"sweep",
       {"sweep", "study.yaml", "--results", "rows.jsonl", "--trials", "5", "--quiet", "-j", "2"},
       "rows.jsonl",
       false,
       true},
      {"report",
       {"run", "one-node", "--trials", "20", "--report", "report.html", "--no-timing"},
       "report.html"},
      {"search", {"search", "one-node", "-o", "search.json", "--no-timing", "--quiet"}, "search.json", true},
      {"trace", {"step", "one-node", "--trace", "trace.json"}, "trace.json"},
      {"sweep again",
       {"sweep", "study.yaml", "--results", "rows.jsonl", "--trials", "5", "--quiet", "-j", "2"},
       "rows.jsonl",
       false,
       true},
  };
  std::map<std::string, std::string> reference_;
  std::map<std::string, double> seconds_;
  std::array<int, 4> counts_{};
  int finished_ = 0, resumed_ = 0, cleaned_ = 0, wrong_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("usage: interruption_check PROGRAM COUNT [SEED]\n", stderr), 2;
  Check check(fs::absolute(argv[1]).string(), argc > 3 ? std::stoull(argv[3]) : 1);
  for (long i = 0; i < std::stol(argv[2]); ++i) check.once(static_cast<std::size_t>(i));
  check.closed_pipe();
  if (!check.decimal_comma()) std::puts("skipped: the locale de_DE.UTF-8 cannot be made here");
  return check.told() ? 0 : 1;
}
