// The built program against files that mean it ill:  hostile_check PROGRAM CORPUS [--all] [--slow FACTOR] [WORD...]
// Runs each file of the corpus through the commands that take it (without --all: one of them, by turns; words: only
// command lines that hold one) and asserts for each: the exit status is 0, 1 or 2; a refusal has a sentence on standard
// error; at most 5 s of processor time and 1 GiB of memory; no file left but whole ones. search, advise and sweep, which
// are long by nature, are sent SIGINT after 5 s and must end with status 130. Files that would be large in a repository
// are made here. FACTOR: how much slower this build is (sanitizers), whose memory is not judged.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr double kSeconds = 5;
constexpr long kMemoryKib = 1L << 20;
constexpr unsigned kHang = 60;  // of the wall's clock: a sleep that nothing ends

// What is run on the files of a folder; @ stands for the file.
struct Folder {
  std::string_view name;
  std::vector<std::string_view> commands;
};
const std::array<Folder, 11>& folders() {
  static const std::array<Folder, 11> kFolders = {{
      {"scenarios",
       {"run @", "step @", "memory @", "goodput @", "search @ --quiet", "network @", "advise @ --quiet",
        "compare @ one-node", "step @ --unfolded", "step @ --trace t.json", "run @ --report r.html",
        "export megatron @", "run @ --format json -o out.json", "trace diff @ one-node"}},
      {"studies",
       {"sweep @ --results r.jsonl --quiet", "sweep @ --dry-run -o out.json", "export slurm @", "run @"}},
      {"failures", {"import failures @", "validate --cases @"}},
      {"published", {"validate --cases @", "calibrate --cases @ --folds 0"}},
      {"nccl", {"calibrate --nccl @ --node hgx-h100", "import failures @"}},
      {"gemm", {"calibrate --gemm @ --gpu h100", "validate --cases @"}},
      {"hf", {"import hf @", "model @"}},
      {"megatron", {"import megatron @", "import megatron @ --nodes 1000"}},
      {"aicb", {"import aicb @", "import aicb @ --model llama3-8b"}},
      {"nccl-topo", {"import nccl-topo @", "import nccl-topo @ --gpu h100"}},
      {"results", {"merge @ --results m.jsonl", "explain mfu --result @"}},
  }};
  return kFolders;
}

// Large files, by recipe: a name and who writes it. All are handed to every kind of reader.
struct Made {
  std::string_view name;
  std::function<void(std::ostream&)> write;
};
std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}
const std::vector<Made>& made_files() {
  static const std::vector<Made> kMade = {
      {"hundred-megabytes.yaml",
       [](std::ostream& out) {
         const std::string block = repeated("a: 1\n", 200'000);
         for (int i = 0; i < 100; ++i) out << block;
       }},
      {"one-line.yaml", [](std::ostream& out) { out << "name: " << repeated("x", 1'000'000) << "\n"; }},
      {"long-csv.csv",
       [](std::ostream& out) { out << "time,node,cause\n"
                                   << repeated("1,a,b\n", 1'500'000); }},
      {"wide.csv",
       [](std::ostream& out) { out << repeated("c,", 500'000) << "\n"
                                   << repeated("1,", 500'000) << "\n"; }},
      {"quotes.csv", [](std::ostream& out) { out << repeated("\"\"", 1'000'000); }},
      {"deep.json", [](std::ostream& out) { out << repeated("[", 1'000'000); }},
      {"deep-maps.json", [](std::ostream& out) { out << repeated("{\"a\":", 300'000); }},
      {"deep.yaml",
       [](std::ostream& out) { out << "a:\n  " << repeated("[", 100'000) << repeated("]", 100'000); }},
      {"stairs.yaml",
       [](std::ostream& out) {
         for (std::size_t i = 0; i < 1'400; ++i) out << std::string(i, ' ') << "a:\n";
       }},
      {"values.yaml", [](std::ostream& out) { out << "a: [" << repeated("1,", 200'000) << "]\n"; }},
      {"keys.yaml",
       [](std::ostream& out) {
         for (int i = 0; i < 90'000; ++i) out << "k" << i << ": 1\n";
       }},
      {"words.sh", [](std::ostream& out) { out << repeated("--num-layers 1 ", 200'000); }},
      {"variables.sh",
       [](std::ostream& out) {
         for (int i = 0; i < 20'000; ++i) out << "V" << i << "=$V" << i - 1 << "x\n";
         out << "run --num-layers $V19999\n";
       }},
      {"zeros.bin", [](std::ostream& out) { out << std::string(5'000'000, '\0'); }},
      {"rows.jsonl",
       [](std::ostream& out) {
         out << "{\"study\":\"a\",\"points\":100000000}\n";
         for (int i = 0; i < 200'000; ++i) out << "{\"index\":" << i << "}\n";
       }},
  };
  return kMade;
}
constexpr std::array<std::string_view, 8> kReaders = {"step @",
                                                      "sweep @ --results r.jsonl --quiet",
                                                      "import failures @",
                                                      "validate --cases @",
                                                      "calibrate --nccl @ --node hgx-h100",
                                                      "import hf @",
                                                      "import megatron @",
                                                      "merge @ --results m.jsonl"};
// Places that are no usual file, handed to the same readers.
constexpr std::array<std::string_view, 8> kPlaces = {
    "/dev/null",      "/dev/zero",       "/tmp", "/nowhere/at/all.yaml",
    "/proc/self/mem", "/proc/self/fd/0", "/dev", "./dangling.yaml"};

struct Task {
  std::string name;  // of the file
  Words words;
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

Task task_of(std::string_view command, const std::string& name, const std::string& path) {
  Task task{name, words_of(std::string(command))};
  for (std::string& word : task.words)
    if (word == "@") word = path;
  return task;
}

struct Ran {
  std::string verdict;  // empty: as it should be
  double seconds = 0;
  long kib = 0;
};

class Check {
 public:
  Check(std::string program, fs::path place, double slower)
      : program_(std::move(program)), place_(std::move(place)), slower_(slower) {}

  Ran run(const Task& task, std::size_t number) const {
    const fs::path here = place_ / ("task-" + std::to_string(number));
    fs::create_directories(here);
    fs::create_symlink("nowhere", here / "dangling.yaml");
    const fs::path err = place_ / ("err-" + std::to_string(number));
    const pid_t child = fork();
    if (child == 0) start(task, here, err);
    int status = 0;
    rusage used{};
    const bool asked = long_by_nature(task) && !ended_alone(child, status, used);
    if (asked)
      stop(child, status, used);
    else if (!long_by_nature(task))
      wait4(child, &status, 0, &used);
    Ran ran = judged(asked, status, used, here, err);
    fs::remove_all(here);
    fs::remove(err);
    return ran;
  }

 private:
  static bool long_by_nature(const Task& task) {
    const std::string& command = task.words.front();
    return command == "search" || command == "advise" || command == "sweep";
  }

  // Whether it ended within its 5 s, here of the wall's clock.
  bool ended_alone(pid_t child, int& status, rusage& used) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(kSeconds);
    while (std::chrono::steady_clock::now() < end) {
      if (wait4(child, &status, WNOHANG, &used) == child) return true;
      usleep(5'000);
    }
    return false;
  }

  // SIGINT, and SIGKILL when that is not heard in twice the time (the machine may be busy).
  void stop(pid_t child, int& status, rusage& used) const {
    kill(child, SIGINT);
    for (int i = 0; i < static_cast<int>(2 * kSeconds * slower_ / 0.005); ++i) {
      if (wait4(child, &status, WNOHANG, &used) == child) return;
      usleep(5'000);
    }
    kill(child, SIGKILL);
    wait4(child, &status, 0, &used);
  }

  [[noreturn]] void start(const Task& task, const fs::path& here, const fs::path& err) const {
    const auto seconds = static_cast<rlim_t>(kSeconds * slower_ * (long_by_nature(task) ? 10 : 1)) + 1;
    const rlimit time{seconds, seconds + 5}, core{0, 0}, file{1UL << 28, 1UL << 28};
    setrlimit(RLIMIT_CPU, &time);
    setrlimit(RLIMIT_CORE, &core);
    setrlimit(RLIMIT_FSIZE, &file);
    if (counts_memory()) {
      const rlimit memory{8UL << 30, 8UL << 30};
      setrlimit(RLIMIT_AS, &memory);
    }
    alarm(static_cast<unsigned>(kHang * slower_));
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(open((place_ / "out").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666), 1);
    dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666), 2);
    Words words = task.words;
    words.insert(words.begin(), program_);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (chdir(here.c_str()) == 0) execv(program_.c_str(), arguments.data());
    _exit(127);
  }

  Ran judged(bool asked, int status, const rusage& used, const fs::path& here, const fs::path& err) const {
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    Ran ran{"", seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss};
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    std::ifstream in(err, std::ios::binary);
    const std::string said(std::istreambuf_iterator<char>(in), {});
    if (code > 2 && !(asked && code == 130))
      ran.verdict += " status " + std::to_string(code) + " (" + said.substr(0, 200) + ")";
    if (code == 2 && said.empty()) ran.verdict += " refused without a word";
    if (code == 2 && said.size() > 100'000) ran.verdict += " says too much";
    if (ran.seconds > kSeconds * slower_ && !asked) ran.verdict += " slow";
    if (ran.kib > kMemoryKib && counts_memory()) ran.verdict += " eats memory";
    for (const auto& entry : fs::directory_iterator(here)) {
      const std::string name = entry.path().filename().string();
      if (name.find(".tmp-") != std::string::npos) ran.verdict += " left " + name;
      if (code == 2 && name != "dangling.yaml" && name != "r.jsonl") ran.verdict += " wrote " + name;
    }
    return ran;
  }

  // Sanitizers take more than the program.
  bool counts_memory() const { return slower_ < 20; }

  std::string program_;
  fs::path place_;
  double slower_;
};

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::vector<Task> tasks_of(const fs::path& corpus, const fs::path& place, bool all) {
  std::vector<Task> tasks;
  for (const Folder& folder : folders()) {
    std::size_t turn = 0;
    for (const fs::path& file : files_of(corpus / folder.name)) {
      const std::size_t n = folder.commands.size();
      for (std::size_t k = 0; k < (all ? n : 1); ++k)
        tasks.push_back(task_of(folder.commands[(turn + k) % n],
                                std::string(folder.name) + "/" + file.filename().string(), file.string()));
      ++turn;
    }
  }
  for (const fs::path& file : files_of(corpus / "commands")) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);)
      if (!line.empty() && line.front() != '#')
        tasks.push_back({"commands/" + file.filename().string(), words_of(line)});
  }
  std::size_t turn = 0;
  for (const Made& made : made_files()) {
    const fs::path path = place / made.name;
    std::ofstream out(path, std::ios::binary);
    made.write(out);
    for (std::size_t k = 0; k < (all ? kReaders.size() : 2); ++k)
      tasks.push_back(
          task_of(kReaders[(turn + k) % kReaders.size()], "made/" + std::string(made.name), path.string()));
    ++turn;
  }
  for (const std::string_view where : kPlaces)
    for (std::size_t k = 0; k < (all ? kReaders.size() : 2); ++k)
      tasks.push_back(task_of(kReaders[(turn++) % kReaders.size()], "place", std::string(where)));
  return tasks;
}

std::string line_of(const Task& task) {
  std::string line;
  for (const std::string& word : task.words) line += (line.empty() ? "" : " ") + (word.empty() ? "''" : word);
  return line;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3)
    return std::fputs("usage: hostile_check PROGRAM CORPUS [--all] [--slow FACTOR] [WORD...]\n", stderr), 2;
  bool all = false;
  double slower = 1;
  Words wanted;
  for (int i = 3; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--all")
      all = true;
    else if (word == "--slow" && i + 1 < argc)
      slower = std::stod(argv[++i]);
    else
      wanted.push_back(word);
  }
  const fs::path place = fs::temp_directory_path() / ("runcast-hostile-" + std::to_string(getpid()));
  fs::create_directories(place);
  std::vector<Task> tasks = tasks_of(fs::absolute(argv[2]), place, all);
  if (!wanted.empty())
    std::erase_if(tasks, [&](const Task& task) {
      return std::ranges::none_of(
          wanted, [&](const std::string& word) { return line_of(task).find(word) != std::string::npos; });
    });
  const Check check(fs::absolute(argv[1]).string(), place, slower);
  std::vector<Ran> ran(tasks.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < tasks.size(); i = next++) ran[i] = check.run(tasks[i], i);
  };
  {
    std::vector<std::jthread> others;
    for (unsigned t = 1; t < std::max(2U, std::thread::hardware_concurrency()); ++t)
      others.emplace_back(work);
    work();
  }
  std::size_t wrong = 0, slowest = 0, largest = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!ran[i].verdict.empty()) {
      ++wrong;
      std::printf("FAILED %s: runcast %s:%s, %.1f s, %ld MiB\n", tasks[i].name.c_str(),
                  line_of(tasks[i]).c_str(), ran[i].verdict.c_str(), ran[i].seconds, ran[i].kib / 1024);
    }
    if (ran[i].seconds > ran[slowest].seconds) slowest = i;
    if (ran[i].kib > ran[largest].kib) largest = i;
  }
  if (!tasks.empty())
    std::printf("%zu runs, %zu wrong; slowest %.2f s: %s; most memory %ld MiB: %s\n", tasks.size(), wrong,
                ran[slowest].seconds, line_of(tasks[slowest]).c_str(), ran[largest].kib / 1024,
                line_of(tasks[largest]).c_str());
  fs::remove_all(place);
  return wrong == 0 && !tasks.empty() ? 0 : 1;
}
