// Where the result goes: standard output, or a file that appears whole or not at all (written beside its
// place under a temporary name, then renamed). The file is opened before the work, so that a bad path is told
// at once. Ctrl-C removes the temporary file; one that a killed process left (FILE.tmp-PID) goes when FILE is
// written again.
#pragma once

#include <string>
#include <string_view>

namespace runcast {

class Output {
 public:
  // "" is standard output. A path that exists and is no regular file (/dev/null, a pipe) is written in place.
  // Throws ConfigError when the file cannot be made.
  explicit Output(std::string path);
  ~Output();  // removes the temporary file unless finish() renamed it
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool to_terminal() const;
  // Writes everything and closes. A reader that closed its pipe has had enough: that is no error. Throws
  // ConfigError for any other failure (a full disk).
  void finish(std::string_view text);

 private:
  std::string path_;
  std::string temporary_;  // "" when written in place
  int descriptor_ = 1;
  int remembered_ = -1;  // place among the files that an interrupt removes
};

// Ctrl-C and termination: removes the temporary file of the open Output, says so and ends with status 130.
// A closed pipe becomes an error of write() instead of a signal.
void handle_signals();

// While it lives, the first Ctrl-C (or termination) only asks to stop, so that what is done can be kept; a second one
// ends at once.
class StopOnInterrupt {
 public:
  StopOnInterrupt();
  ~StopOnInterrupt();
  StopOnInterrupt(const StopOnInterrupt&) = delete;
  StopOnInterrupt& operator=(const StopOnInterrupt&) = delete;
  static bool asked();
};

}  // namespace runcast
