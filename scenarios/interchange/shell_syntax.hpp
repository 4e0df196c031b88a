// The part of the shell's grammar that launch scripts use, as a tree: simple commands, lists with && and ||, pipes,
// groups, functions, if, case, for, while, [[ ]], (( )), here-documents. Words stay as written, quotes and all, with the
// line of each character, so that what a variable holds is told by the line where it was written.
// Source: POSIX.1-2017, Shell Command Language, sec. 2; bash(1). Leaves out: aliases, select, process substitution.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace runcast::shell {

struct Text {
  std::string chars;
  std::vector<int> lines;  // of each character, 1-based

  static Text of(std::string_view text, int line);  // further lines are counted on
  void push(char c, int line);
  void append(const Text& other);
  Text slice(std::size_t from, std::size_t to) const;
  int line() const { return lines.empty() ? 0 : lines.front(); }
  bool empty() const { return chars.empty(); }
};

struct Assignment {
  std::string name;
  bool append = false, array = false;
  std::vector<Text> values;  // as written; one unless it is an array
};

struct Command;
using Block = std::vector<Command>;
struct Branch {
  Block condition;             // of if, elif, while; empty for else
  std::vector<Text> patterns;  // of case; the words of for
  Block body;
  int line = 0;
  std::string source;  // the condition as written, cut
};

struct Command {
  enum class Kind { simple, test, arithmetic, choice, selection, repetition, for_each, group, function };
  enum class Join { always, if_true, if_false };  // to the command before it
  Kind kind = Kind::simple;
  Join join = Join::always;
  bool negated = false;
  int line = 0;
  std::vector<Assignment> assignments;
  std::vector<Text> words;  // [[ ]]: between the brackets; case: what is matched; for, function: the name
  std::vector<Branch> branches;
  std::shared_ptr<const Text> document;  // of <<
};

// What is no grammar is passed over. Throws ConfigError `WHERE:LINE: ...` for more than 100 levels.
Block parse(const Text& text, const std::string& where);

// The end of the quoted part, expansion or single character at `at`; never past the text's.
std::size_t end_of_piece(std::string_view text, std::size_t at, int depth = 0);
bool is_name_character(char c);

}  // namespace runcast::shell
