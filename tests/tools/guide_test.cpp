// The documents that a person reads first, README.md and tools/guide/*.md, held to the program. Every command of a
// fenced `console` or `sh` block is run in a folder of its chapter, in the order of the text, and what is shown of its
// output must be there: line by line, adjacent lines adjacent, `...` for what is left out. Conventions, for writers:
//
//   `my.yaml`:             before a fence that is no console: the block is a file, written before what follows is run
//   $ echo $?              and a number: the exit status of the commands above it in its block; without it, 0
//   $ runcast ... # status 1   likewise, in a comment
//   $ runcast ... # 20 s   a comment that is a time: too long for a test, so that only its options are checked
//   `sim/some.cpp`:        before a cpp fence: a new file of the contributor guide; a diff fence changes present ones.
//                          All are applied to a copy of the sources, and what they touch must compile
//
// RUNCAST_WRITE_GUIDE=1 accepts the program's present figures where a line has the same words; look at the diff.
// RUNCAST_GUIDE_SLOW=1 runs what takes long, too.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = RUNCAST_SOURCE_DIR;

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(" \r") + 1);
  return line;
}

// A command of a document and what the document says of it; `first` is the line after the command.
struct Shown {
  std::string command;
  std::size_t first = 0, last = 0;  // lines of the document with its output: [first, last)
  int status = 0;
  bool slow = false;
};

struct Document {
  std::vector<std::string> lines;
  struct File {
    std::string name, text, language;
  };
  // In the order of the text: a file to write, or a command to run.
  std::vector<std::pair<std::optional<File>, std::optional<Shown>>> steps;
};

void read_commands(Document& document, std::size_t begin, std::size_t end) {
  static const std::regex kTime(R"(#.*\b\d+ (s|min)\)?\s*$)"), kStatus(R"(#.*\bstatus (\d+))");
  std::size_t unsaid = document.steps.size();  // the first command whose status has not been said
  for (std::size_t i = begin; i < end; ++i) {
    const std::string& line = document.lines[i];
    if (line == "$ echo $?") {
      REQUIRE(++i < end);
      for (; unsaid < document.steps.size(); ++unsaid)
        document.steps[unsaid].second->status = std::stoi(document.lines[i]);
      continue;
    }
    const bool prompt = line.starts_with("$ "), variable = line.starts_with("$runcast ");
    if (!prompt && !variable) continue;  // output, or a setting of a variable
    Shown shown;
    shown.command = prompt ? line.substr(2) : line.substr(1);
    while (shown.command.ends_with('\\') && i + 1 < end) shown.command += "\n" + document.lines[++i];
    shown.slow = std::regex_search(shown.command, kTime);
    if (std::smatch said; std::regex_search(shown.command, said, kStatus)) shown.status = std::stoi(said[1]);
    shown.first = shown.last = i + 1;
    while (shown.last < end && !document.lines[shown.last].starts_with("$")) ++shown.last;
    document.steps.emplace_back(std::nullopt, shown);
  }
}

Document read_document(const fs::path& path) {
  static const std::regex kFile(R"(`([A-Za-z0-9_./-]+)`:\s*$)");
  Document document{lines_of(contents(path)), {}};
  const auto& lines = document.lines;
  std::string before;  // the last line of text
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].starts_with("```")) {
      if (!lines[i].empty()) before = lines[i];
      continue;
    }
    const std::string language = trimmed(lines[i].substr(3));
    std::size_t end = i + 1;
    while (end < lines.size() && lines[end] != "```") ++end;
    REQUIRE_MESSAGE(end < lines.size(), path << ":" << i + 1 << ": a fence without an end");
    std::smatch match;
    if (language == "console" || language == "sh") {
      read_commands(document, i + 1, end);
    } else if (language == "diff" || std::regex_search(before, match, kFile)) {
      std::string text;
      for (std::size_t k = i + 1; k < end; ++k) text += lines[k] + "\n";
      const std::string name = language == "diff" ? "diff" : match[1].str();
      document.steps.emplace_back(Document::File{name, text, language}, std::nullopt);
    }
    before.clear();
    i = end;
  }
  return document;
}

// What numbers and bars do not change of a line.
std::string skeleton(const std::string& line) {
  static const std::regex kNumber(R"([-+]?[0-9][0-9.,]*)"), kSpace(R"(\s+)");
  std::string words;
  for (const char c : line)
    if ((static_cast<unsigned char>(c) & 0x80U) == 0) words += c;
  return trimmed(std::regex_replace(std::regex_replace(words, kNumber, "#"), kSpace, " "));
}

// Whether `shown` stands in `output` from `at` on; `at` moves behind what was found. What does not is said.
std::string not_shown(const std::vector<std::string>& shown, const std::vector<std::string>& output) {
  std::size_t at = 0;
  bool gap = false;
  const auto same = [](const std::string& line, const std::string& printed) {
    if (line.ends_with(" ...")) return trimmed(printed).starts_with(trimmed(line.substr(0, line.size() - 4)));
    return line == trimmed(printed);
  };
  for (const std::string& raw : shown) {
    const std::string line = trimmed(raw);
    if (line.find_first_not_of(' ') != std::string::npos &&
        line.substr(line.find_first_not_of(' ')) == "...") {
      gap = true;
      continue;
    }
    std::size_t found = at;
    while (gap && found < output.size() && !same(line, output[found])) ++found;
    if (found >= output.size() || !same(line, output[found])) {
      std::string near;
      for (const std::string& printed : output)
        if (near.empty() && skeleton(printed) == skeleton(line)) near = printed;
      if (near.empty() && at < output.size()) near = output[at];
      return fmt::format("shown   : {}\nprinted : {}", line, near);
    }
    at = found + 1;
    gap = false;
  }
  if (!gap && !shown.empty() && at < output.size()) return "not shown, without '...': " + output[at];
  return "";
}

class Reader {
 public:
  explicit Reader(const std::string& chapter)
      : folder_(fs::temp_directory_path() /
                fmt::format("runcast-guide-{}-{}", fs::path(chapter).stem().string(), getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "here");
    for (const char* kind : {"run", "parse"}) fs::create_directories(folder_ / kind);
    script("run", fmt::format("exec '{}' \"$@\"", RUNCAST_PROGRAM));
    script("parse", fmt::format("exec '{}' \"$@\" --help", RUNCAST_PROGRAM));
  }
  ~Reader() { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    const fs::path path = folder_ / "here" / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }

  // What a reader sees in a terminal without colour: both streams, in a shell.
  std::pair<int, std::string> run(const std::string& command, bool only_parsed = false) const {
    const fs::path out = folder_ / "out";
    std::ofstream(folder_ / "command") << command << "\n";
    const std::string line = fmt::format(
        "cd '{0}/here' && PATH='{0}/{1}':\"$PATH\" LC_ALL=C.UTF-8 COLUMNS=120 sh ../command >../out 2>&1 "
        "</dev/null",
        folder_.string(), only_parsed ? "parse" : "run");
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), contents(out)};
  }

 private:
  void script(const char* kind, const std::string& body) const {
    const fs::path path = folder_ / kind / "runcast";
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    fs::permissions(path, fs::perms::owner_all);
  }
  fs::path folder_;
};

bool wish(const char* variable) { return std::getenv(variable) != nullptr; }

// The document's lines for `shown`, with the figures that the program prints now: a line that is printed as it stands
// stays, another one becomes the next with the same words.
void accept(Document& document, const Shown& shown, const std::vector<std::string>& output) {
  auto from = output.begin();
  for (std::size_t i = shown.first; i < shown.last; ++i) {
    std::string& line = document.lines[i];
    auto found = std::find_if(from, output.end(), [&](const auto& o) { return trimmed(o) == trimmed(line); });
    if (found == output.end())
      found = std::find_if(from, output.end(), [&](const auto& o) { return skeleton(o) == skeleton(line); });
    if (found == output.end()) continue;
    line = trimmed(*found);
    from = std::next(found);
  }
}

// `tools/run X` of a fresh clone is `runcast run X` of the program that is tested.
std::string as_tested(const std::string& command) {
  constexpr std::string_view kRun = "tools/run ";
  return command.starts_with(kRun) ? "runcast run " + command.substr(kRun.size()) : command;
}

void check_command(Document& document, const Shown& shown, const Reader& reader, const std::string& name) {
  INFO(name, ":", shown.first, ": $ ", shown.command);
  const bool slow = shown.slow && !wish("RUNCAST_GUIDE_SLOW");
  const auto [status, text] = reader.run(as_tested(shown.command), slow);
  CAPTURE(text);
  if (slow) {
    CHECK(status == 0);
    return;
  }
  CHECK(status == shown.status);
  const std::vector<std::string> output = lines_of(text);
  if (wish("RUNCAST_WRITE_GUIDE")) accept(document, shown, output);
  const auto line = [&](std::size_t i) { return document.lines.begin() + static_cast<std::ptrdiff_t>(i); };
  const std::vector<std::string> expected(line(shown.first), line(shown.last));
  const std::string problem = not_shown(expected, output);
  CHECK_MESSAGE(problem.empty(), problem);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// Applies a unified diff to the files of `folder`: what a hunk takes away or keeps is found by its text, in order.
std::vector<std::string> apply_diff(const std::string& diff, const fs::path& folder) {
  std::vector<std::string> files, before, after;
  std::string text;
  const auto hunk = [&] {
    if (before.empty() && after.empty()) return;
    const std::size_t at = ("\n" + text).find("\n" + joined(before));
    REQUIRE_MESSAGE(at != std::string::npos, files.back() << " no longer has:\n" << joined(before));
    text.replace(at, joined(before).size(), joined(after));
    before.clear();
    after.clear();
  };
  const auto finish = [&] {
    hunk();
    if (!files.empty()) std::ofstream(folder / files.back(), std::ios::binary) << text;
  };
  for (const std::string& line : lines_of(diff)) {
    if (line.starts_with("--- ")) continue;
    if (line.starts_with("+++ b/")) {
      finish();
      files.push_back(line.substr(6));
      text = contents(folder / files.back());
    } else if (line.starts_with("@@")) {
      hunk();
    } else {
      const std::string code = line.empty() ? "" : line.substr(1);
      if (!line.starts_with("+")) before.push_back(code);
      if (!line.starts_with("-")) after.push_back(code);
    }
  }
  finish();
  return files;
}

void check_compiles(const fs::path& folder, const std::string& file) {
  INFO(file);
  const std::string command =
      fmt::format("cd '{}' && '{}' -std=c++20 -fsyntax-only -Wall -Wextra -I. '{}' 2>errors", folder.string(),
                  RUNCAST_COMPILER, file);
  const int status = std::system(command.c_str());
  CAPTURE(contents(folder / "errors"));
  CHECK(status == 0);
}

// The worked examples, applied to a copy of what they may touch.
void check_examples(const Document& document) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("runcast-guide-code-{}", getpid());
  fs::remove_all(folder);
  for (const char* name :
       {"sim", "topology", "parallelism", "failures", "tests/parallelism", "tests/failures"}) {
    fs::create_directories(folder / name);
    fs::copy(kRoot / name, folder / name);
  }
  std::vector<std::string> touched;
  for (const auto& [file, shown] : document.steps) {
    if (!file || (file->language != "cpp" && file->language != "diff")) continue;
    if (file->language == "cpp") std::ofstream(folder / file->name, std::ios::binary) << file->text;
    const std::vector<std::string> files =
        file->language == "cpp" ? std::vector{file->name} : apply_diff(file->text, folder);
    touched.insert(touched.end(), files.begin(), files.end());
  }
  CHECK(touched.size() >= 5);
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  for (const std::string& file : touched)
    if (file.ends_with(".cpp") && !file.starts_with("tests/")) check_compiles(folder, file);
  fs::remove_all(folder);
}

const std::vector<std::string> kChapters = {"README.md",       "first-run.md",         "reading-a-result.md",
                                            "your-cluster.md", "calibrating.md",       "studies.md",
                                            "failures.md",     "limits-and-errors.md", "contributing.md"};

// A file that the reader writes beside the commands, not one of the sources.
bool is_readers(const Document::File& file) { return file.language != "cpp" && file.language != "diff"; }

void check_document(const fs::path& path, const std::string& name) {
  Document document = read_document(path);
  const Reader reader(name);
  if (name == "the README")  // its commands name files that the guide tells how to write
    for (const std::string& chapter : kChapters)
      for (const auto& [file, shown] : read_document(kRoot / "tools/guide" / chapter).steps)
        if (file && is_readers(*file)) reader.write(file->name, file->text);
  const auto steps = document.steps;
  for (const auto& [file, shown] : steps) {
    if (file && is_readers(*file)) reader.write(file->name, file->text);
    if (shown) check_command(document, *shown, reader, name);
  }
  if (!wish("RUNCAST_WRITE_GUIDE")) return;
  std::ofstream(path, std::ios::binary) << joined(document.lines);
}

// A document without its fenced blocks.
std::string prose(const fs::path& path) {
  std::string text;
  bool fenced = false;
  for (const std::string& line : lines_of(contents(path))) {
    const bool fence = line.starts_with("```");
    if (fence) fenced = !fenced;
    if (!fence && !fenced) text += line + "\n";
  }
  return text;
}

void check_chapter(const std::string& chapter) { check_document(kRoot / "tools/guide" / chapter, chapter); }

}  // namespace

TEST_CASE("the README's commands run, and its first result is the program's") {
  check_document(kRoot / "README.md", "the README");
}
TEST_CASE("the guide's index: its commands run") { check_chapter("README.md"); }
TEST_CASE("the guide's first run prints what it shows") { check_chapter("first-run.md"); }
TEST_CASE("the guide's result is the program's, block by block") { check_chapter("reading-a-result.md"); }
TEST_CASE("the guide's own cluster has the step that is shown") { check_chapter("your-cluster.md"); }
TEST_CASE("the guide's calibrations have the constants that are shown") { check_chapter("calibrating.md"); }
TEST_CASE("the guide's studies have the points that are shown") { check_chapter("studies.md"); }
TEST_CASE("the guide's runs with failures have the days that are shown") { check_chapter("failures.md"); }
TEST_CASE("the guide's limits and messages are the program's") { check_chapter("limits-and-errors.md"); }

TEST_CASE("the contributor guide's commands run, and its files compile against the present headers") {
  check_chapter("contributing.md");
  check_examples(read_document(kRoot / "tools/guide/contributing.md"));
}

TEST_CASE("every chapter is run by a test, stands in the index and has at most 150 lines of text") {
  const std::string index = contents(kRoot / "tools/guide/README.md");
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(kRoot / "tools/guide"))
    found.push_back(entry.path().filename().string());
  std::ranges::sort(found);
  std::vector<std::string> known = kChapters;
  std::ranges::sort(known);
  CHECK(found == known);
  for (const std::string& chapter : found) {
    CAPTURE(chapter);
    if (chapter != "README.md") CHECK(index.find("(" + chapter + ")") != std::string::npos);
    CHECK(lines_of(prose(kRoot / "tools/guide" / chapter)).size() <= 150);
  }
}

TEST_CASE("links of the documents lead to files that are there") {
  static const std::regex kLink(R"(\]\(([^)#:]+)(#[^)]*)?\))");
  std::vector<fs::path> documents = {kRoot / "README.md"};
  for (const std::string& chapter : kChapters) documents.push_back(kRoot / "tools/guide" / chapter);
  for (const fs::path& document : documents) {
    const std::string text = prose(document);
    for (std::sregex_iterator link(text.begin(), text.end(), kLink), end; link != end; ++link) {
      INFO(document, ": ", (*link)[1].str());
      CHECK(fs::exists(document.parent_path() / (*link)[1].str()));
    }
  }
}
