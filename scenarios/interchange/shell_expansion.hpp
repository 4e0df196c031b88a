// What the words of a script become: quotes removed, variables, arrays and arithmetic put in, cut at blanks as the shell
// does. The environment and the command line of a script are not known, nor what a command prints: what depends on them
// says so (`unknown`), and has what it would have with them empty.
// Source: POSIX.1-2017, Shell Command Language, sec. 2.6; bash(1), arrays. Leaves out: ~, braces {a,b}, file names.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/interchange/shell_syntax.hpp"

namespace runcast::shell {

struct Field {
  Text text;
  std::string unknown;  // why the text is not sure: "A is not set in the script"; "" = it is
  bool quoted = false;  // stays a word when empty
};

// Integers of $(( )): + - * / % **, comparisons, && || ! and brackets. None for names without a number, a division by
// zero, what does not fit in 64 bits, and anything else.
using NumberOf = std::function<std::optional<std::int64_t>(std::string_view name)>;
std::optional<std::int64_t> arithmetic(std::string_view text, const NumberOf& variable);

// * ? [a-z] and \ of case and [[ ]]. False for more than 256 letters of either.
bool matches(std::string_view pattern, std::string_view text);

class Environment {
 public:
  std::vector<Field> arguments;  // $1 ... of a function or of `set --`
  bool called = false;           // whether they are known

  void assign(const Assignment&);
  void set(const std::string& name, Field value);
  void unset(const std::string& name) { variables_.erase(name); }

  // As words of a command, as members of an array.
  std::vector<Field> words(const Text& raw);
  // As one word, of tests and assignments; `pattern`: with what is quoted escaped for matches().
  Field single(const Text& raw, bool pattern = false);
  // Of the text between (( and )); `unknown` when it cannot be told.
  std::optional<std::int64_t> number(const Text& raw, std::string& unknown);

 private:
  struct Value {
    std::vector<Field> members;
    bool array = false;
  };
  enum class Mode { words, single, pattern };
  struct Parameter {
    std::vector<Field> values;
    std::size_t next = 0;
    bool joined = false;  // "${A[*]}": one word
  };

  std::vector<Field> expanded(const Text& raw, Mode mode);
  void put(const Parameter&, bool quoted, Mode, std::vector<Field>& done, Field& open, bool& started);
  Parameter parameter_at(const Text& raw, std::size_t at);
  std::vector<Field> in_braces(const Text& inside);
  std::vector<Field> value_of(std::string_view name, std::string_view subscript, bool& known);
  std::vector<Field> changed(std::vector<Field> values, bool known, const Text& operation,
                             const std::string& name);
  Field command_output(const Text& inside, int line);
  std::optional<std::int64_t> named_number(std::string_view name);

  std::map<std::string, Value, std::less<>> variables_;
  std::size_t budget_ = 4 << 20;  // of all expansions: variables that hold each other grow without end
  int depth_ = 0, stripped_ = 0;
};

}  // namespace runcast::shell
