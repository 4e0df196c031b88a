// Output by POSIX calls, since what is wrong with a write must be known.
#include "tools/report/output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "sim/error.hpp"

namespace runcast {
namespace {

// The open temporary files' names (a result, a trace, a report), where a signal handler may read them: it may not touch
// a std::string.
using FileName = std::array<char, 4096>;
std::array<FileName, 4> files_to_remove{};

// The place of a file's name; -1 when all are taken.
int remember(const std::string& path) {
  for (std::size_t i = 0; i < files_to_remove.size(); ++i) {
    FileName& name = files_to_remove[i];
    if (name[0] != '\0' || path.empty()) continue;
    const std::size_t size = std::min(path.size(), name.size() - 2);
    std::memcpy(name.data() + 1, path.data() + 1, size);
    name[0] = path[0];  // the last, so that a handler sees the whole name or none
    return static_cast<int>(i);
  }
  return -1;
}

// Written by the handler, read by whoever can stop.
volatile std::sig_atomic_t stop_can_wait = 0, stop_asked = 0;

extern "C" void on_interrupt(int) {
  if (stop_can_wait != 0 && stop_asked == 0) {
    stop_asked = 1;
    return;
  }
  for (const FileName& name : files_to_remove)
    if (name[0] != '\0') unlink(name.data());
  static constexpr std::string_view kText = "\ninterrupted; nothing was written\n";
  if (write(2, kText.data(), kText.size()) < 0) _exit(130);
  _exit(130);
}

[[noreturn]] void refuse(const std::string& path, int error) {
  throw ConfigError(
      fmt::format("cannot write {}: {}", path.empty() ? "standard output" : path, std::strerror(error)));
}

// What a killed process left beside `path`: temporary files that nobody holds locked.
void remove_leftovers(const std::string& path) {
  namespace fs = std::filesystem;
  const fs::path whole(path);
  const std::string prefix = whole.filename().string() + ".tmp-";
  std::error_code error;
  for (auto at = fs::directory_iterator(whole.has_parent_path() ? whole.parent_path() : ".", error);
       !error && at != fs::directory_iterator(); at.increment(error)) {
    if (!at->path().filename().string().starts_with(prefix)) continue;
    const int left = open(at->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (left < 0) continue;
    if (flock(left, LOCK_EX | LOCK_NB) == 0) unlink(at->path().c_str());
    close(left);
  }
}

bool written_in_place(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
}

}  // namespace

void handle_signals() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  if (std::signal(SIGHUP, on_interrupt) == SIG_IGN) std::signal(SIGHUP, SIG_IGN);  // nohup
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes becomes an error of write() too
}

StopOnInterrupt::StopOnInterrupt() { stop_can_wait = 1; }
StopOnInterrupt::~StopOnInterrupt() { stop_can_wait = 0; }
bool StopOnInterrupt::asked() { return stop_asked != 0; }

Output::Output(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  std::string target = path_;
  if (!written_in_place(path_)) {
    std::error_code error;
    // A link is written through, also where its file is not there yet.
    for (int links = 0; links < 40 && std::filesystem::is_symlink(path_, error); ++links) {
      const auto meant = std::filesystem::read_symlink(path_, error);
      if (!error) path_ = (std::filesystem::path(path_).parent_path() / meant).string();
    }
    remove_leftovers(path_);
    temporary_ = fmt::format("{}.tmp-{}", path_, getpid());
    for (const FileName& name : files_to_remove)
      if (std::string(name.data()) == temporary_) {
        temporary_.clear();  // it is the other's
        throw ConfigError(fmt::format("{} is named for two outputs; give each a file of its own", path_));
      }
    target = temporary_;
  }
  descriptor_ = open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    temporary_.clear();
    refuse(path_, errno);
  }
  if (!temporary_.empty()) (void)flock(descriptor_, LOCK_EX | LOCK_NB);  // ours while we live
  remembered_ = remember(temporary_);
}

Output::~Output() {
  if (descriptor_ > 2) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
  if (remembered_ >= 0) files_to_remove[static_cast<std::size_t>(remembered_)].fill('\0');
}

bool Output::to_terminal() const { return isatty(descriptor_) == 1; }

void Output::finish(std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = write(descriptor_, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && errno == EPIPE) return;
    if (done < 0) refuse(path_, errno);
    text.remove_prefix(static_cast<std::size_t>(done));
  }
  if (path_.empty()) return;
  const int closed = close(descriptor_);
  descriptor_ = 1;
  if (closed != 0) refuse(path_, errno);
  if (temporary_.empty()) return;
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) refuse(path_, errno);
  temporary_.clear();
}

}  // namespace runcast
