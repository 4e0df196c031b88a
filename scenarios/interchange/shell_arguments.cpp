// Follows the tree of a script and keeps the commands that would run.
#include "scenarios/interchange/shell_arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "scenarios/interchange/shell_expansion.hpp"
#include "scenarios/interchange/shell_syntax.hpp"
#include "sim/error.hpp"

namespace runcast {
namespace {

using namespace shell;

constexpr std::size_t kLargestScript = 1 << 20;
constexpr int kMostCommands = 50'000;  // that run: functions and loops may hold each other
constexpr int kMostCalls = 30;         // that are open: functions, eval
constexpr std::size_t kMostNotes = 30;
constexpr std::size_t kMostOperands = 500;  // of one test

struct Verdict {
  bool holds = true;
  std::string why;     // not decided, and why; "" = decided
  bool quiet = false;  // not worth a word: ${X:-...} by hand
};
Verdict decided(bool holds) { return {holds, "", false}; }
Verdict open(bool holds, std::string why) { return {holds, std::move(why), false}; }

Verdict both(const Verdict& a, const Verdict& b) {
  if (a.why.empty() && !a.holds) return a;
  if (b.why.empty() && !b.holds) return b;
  return {a.holds && b.holds, a.why.empty() ? b.why : a.why, a.quiet && b.quiet};
}
Verdict negated(Verdict v) {
  v.holds = !v.holds;
  return v;
}
Verdict either(const Verdict& a, const Verdict& b) { return negated(both(negated(a), negated(b))); }

struct Run {
  std::vector<Field> words;
  int line = 0;
};

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }
bool is_shell(const std::string& word) {
  const std::string name = base_name(word);
  return name == "bash" || name == "sh" || name == "zsh";
}

// Whether a branch can change what is launched: it assigns, or has options or variables of its own.
bool matters(const Block& block) {
  return std::any_of(block.begin(), block.end(), [](const Command& c) {
    if (!c.assignments.empty()) return true;
    const std::string& first = c.words.empty() ? std::string() : c.words.front().chars;
    if (c.kind == Command::Kind::simple && first != "echo" && first != "printf" && first != "[" &&
        first != "exit")
      for (const Text& word : c.words)
        if (word.chars.starts_with("--") || word.chars.starts_with('$') || word.chars == "source")
          return true;
    return std::any_of(c.branches.begin(), c.branches.end(), [](const Branch& b) { return matters(b.body); });
  });
}

// The words of one [ ] or [[ ]]: or, and, not, brackets, and comparisons.
class Test {
 public:
  Test(std::span<const Text> words, bool double_brackets, Environment& environment)
      : words_(words), double_(double_brackets), environment_(environment) {}

  Verdict verdict() {
    if (words_.size() > kMostOperands) return open(false, "the test is too long");
    if (words_.empty()) return decided(false);
    Verdict v = any();
    if (at_ < words_.size() && v.why.empty()) v.why = "the test is not understood";
    return v;
  }

 private:
  bool comes(std::string_view word, std::size_t ahead = 0) const {
    return at_ + ahead < words_.size() && words_[at_ + ahead].chars == word;
  }
  bool take(std::string_view a, std::string_view b) {
    if (!comes(a) && !comes(b)) return false;
    ++at_;
    return true;
  }
  Verdict any() {
    Verdict v = all();
    while (take(double_ ? "||" : "-o", "||")) v = either(v, all());
    return v;
  }
  Verdict all() {
    Verdict v = one();
    while (take(double_ ? "&&" : "-a", "&&")) v = both(v, one());
    return v;
  }
  Verdict one() {
    if (at_ >= words_.size()) return decided(false);
    if (take("!", "!")) return negated(one());
    if (take("(", "\\(")) {
      const Verdict v = any();
      take(")", "\\)");
      return v;
    }
    if (at_ + 2 < words_.size() && is_binary(words_[at_ + 1].chars)) return binary();
    const std::string& sign = words_[at_].chars;
    if (sign.size() == 2 && sign[0] == '-' && at_ + 1 < words_.size() && !comes("]", 1)) return unary();
    const Field f = environment_.single(words_[at_++]);
    return {!f.text.empty(), f.unknown, true};
  }
  static bool is_binary(const std::string& sign) {
    static constexpr std::array<std::string_view, 12> kSigns = {"=",   "==",  "!=",  "=~",  "-eq", "-ne",
                                                                "-lt", "-le", "-gt", "-ge", "<",   ">"};
    return std::ranges::find(kSigns, sign) != kSigns.end();
  }
  Verdict unary() {
    const std::string sign = words_[at_].chars;
    const Text& raw = words_[at_ + 1];
    at_ += 2;
    if (sign != "-z" && sign != "-n" && sign != "-v")
      return open(false, fmt::format("files are not looked at ({})", sign));
    const Field f = sign == "-v" ? environment_.single(Text::of("${" + raw.chars + "}", raw.line()))
                                 : environment_.single(raw);
    const bool environment = f.unknown.ends_with("is not set in the script");
    return {f.text.empty() == (sign == "-z"), f.unknown, environment};
  }
  Verdict binary() {
    const std::string sign = words_[at_ + 1].chars;
    const Field left = environment_.single(words_[at_]),
                right = environment_.single(words_[at_ + 2], double_ && sign != "=~" && sign[0] != '-');
    at_ += 3;
    Verdict v;
    v.why = !left.unknown.empty() ? left.unknown : right.unknown;
    const std::string &a = left.text.chars, &b = right.text.chars;
    if (sign == "=" || sign == "==" || sign == "!=") {
      v.holds = (double_ ? matches(b, a) : a == b) == (sign != "!=");
      return v;
    }
    if (sign == "=~") return open(false, v.why.empty() ? "=~ is not read" : v.why);
    if (sign == "<" || sign == ">") {
      v.holds = sign == "<" ? a < b : a > b;
      return v;
    }
    return numbers(sign, a, b, std::move(v));
  }
  static Verdict numbers(const std::string& sign, const std::string& a, const std::string& b, Verdict v) {
    const auto none = [](std::string_view) { return std::optional<std::int64_t>(); };
    const auto x = arithmetic(a, none), y = arithmetic(b, none);
    if (!x || !y) return open(false, v.why.empty() ? fmt::format("'{}' is no number", x ? b : a) : v.why);
    v.holds = sign == "-eq"   ? *x == *y
              : sign == "-ne" ? *x != *y
              : sign == "-lt" ? *x < *y
              : sign == "-le" ? *x <= *y
              : sign == "-gt" ? *x > *y
                              : *x >= *y;
    return v;
  }

  std::span<const Text> words_;
  bool double_;
  Environment& environment_;
  std::size_t at_ = 0;
};

class Interpreter {
 public:
  Interpreter(const std::string& where) : where_(where) {}

  std::vector<Run> runs;
  std::vector<std::string> notes;
  std::vector<Field> assigned;  // what stands in arrays and texts with options

  Environment& environment() { return environment_; }
  void follow(const Text& text) {
    scripts_.push_back(parse(text, where_));
    run(scripts_.back());
  }

 private:
  void note(std::string sentence) {
    if (notes.size() < kMostNotes && std::ranges::find(notes, sentence) == notes.end())
      notes.push_back(std::move(sentence));
  }

  Verdict run(const Block& block) {
    Verdict last;
    for (const Command& c : block) {
      if (stopped_) break;
      if (c.join == Command::Join::always) {
        last = run(c);
        continue;
      }
      const bool reached = last.holds == (c.join == Command::Join::if_true);
      if (!last.why.empty() && !last.quiet && matters_alone(c))
        note(fmt::format("line {}: what follows {} is {}: {}", c.line,
                         c.join == Command::Join::if_true ? "&&" : "||", reached ? "read" : "left out",
                         last.why));
      if (!reached) continue;
      const int before = undecided_;
      if (!last.why.empty()) ++undecided_;
      const Verdict next = run(c);
      undecided_ = before;
      last = c.join == Command::Join::if_true ? both(last, next) : next;
    }
    return last;
  }
  static bool matters_alone(const Command& c) { return matters(Block(1, c)); }

  Verdict run(const Command& c) {
    if (++commands_ > kMostCommands) {
      if (!stopped_) note(fmt::format("line {}: {} commands are followed, not more", c.line, kMostCommands));
      stopped_ = true;
      return decided(false);
    }
    const Verdict v = of_kind(c);
    return c.negated && c.kind != Command::Kind::repetition ? negated(v) : v;
  }
  Verdict of_kind(const Command& c) {
    switch (c.kind) {
      case Command::Kind::simple:
        return simple(c);
      case Command::Kind::test:
        return Test(c.words, true, environment_).verdict();
      case Command::Kind::arithmetic:
        return arithmetic_command(c);
      case Command::Kind::choice:
        return choice(c);
      case Command::Kind::selection:
        return selection(c);
      case Command::Kind::repetition:
        return repetition(c);
      case Command::Kind::for_each:
        return for_each(c);
      case Command::Kind::group:
        return run(c.branches.front().body);
      case Command::Kind::function:
        if (!c.words.empty()) functions_[c.words.front().chars] = &c.branches.front().body;
        return decided(true);
    }
    return decided(true);
  }

  void undecided(int line, const std::string& source, const std::string& why, const Branch* taken) {
    note(fmt::format("line {}: the script alone does not decide `{}` ({}): {}", line, source, why,
                     taken == nullptr ? std::string("no branch is read")
                                      : fmt::format("the branch of line {} is read", taken->line)));
  }

  Verdict choice(const Command& c) {
    const Branch* taken = nullptr;
    std::string why, source;
    int open_tests = 0;
    for (const Branch& b : c.branches) {
      const Verdict v = b.condition.empty() ? decided(true) : run(b.condition);
      if (!v.why.empty() && why.empty() && !v.quiet) why = v.why, source = b.source;
      if (!v.why.empty()) ++open_tests;
      if (v.holds) {
        taken = &b;
        break;
      }
    }
    const bool any =
        std::any_of(c.branches.begin(), c.branches.end(), [](const Branch& b) { return matters(b.body); });
    if (!why.empty() && any) undecided(c.line, source, why, taken);
    undecided_ += open_tests;
    if (taken != nullptr) run(taken->body);
    undecided_ -= open_tests;
    return decided(true);
  }

  Verdict selection(const Command& c) {
    const Field subject = environment_.single(c.words.front());
    const Branch* taken = nullptr;
    for (const Branch& b : c.branches) {
      for (const Text& raw : b.patterns)
        if (taken == nullptr && matches(environment_.single(raw, true).text.chars, subject.text.chars))
          taken = &b;
      if (taken != nullptr) break;
    }
    const bool any =
        std::any_of(c.branches.begin(), c.branches.end(), [](const Branch& b) { return matters(b.body); });
    if (!subject.unknown.empty() && any)
      undecided(c.line, "case " + c.words.front().chars.substr(0, 60), subject.unknown, taken);
    if (!subject.unknown.empty()) ++undecided_;
    if (taken != nullptr) run(taken->body);
    if (!subject.unknown.empty()) --undecided_;
    return decided(true);
  }

  Verdict repetition(const Command& c) {
    const Branch& b = c.branches.front();
    const Verdict v = run(b.condition);
    if (v.holds == c.negated && v.why.empty()) return decided(true);
    if (matters(b.body))
      note(fmt::format("line {}: a loop is left out: `{}`{}", c.line, b.source,
                       v.why.empty() ? "" : " (" + v.why + ")"));
    return decided(true);
  }
  Verdict for_each(const Command& c) {
    const Branch& b = c.branches.front();
    if (c.words.front().empty()) {
      if (matters(b.body)) note(fmt::format("line {}: a loop that counts is left out", c.line));
      return decided(true);
    }
    std::vector<Field> words;
    for (const Text& raw : b.patterns)
      for (Field& f : environment_.words(raw)) words.push_back(std::move(f));
    for (Field& f : words) {
      if (stopped_) break;
      if (f.text.empty() && !f.quoted) continue;
      environment_.set(c.words.front().chars, std::move(f));
      run(b.body);
    }
    return decided(true);
  }
  Verdict arithmetic_command(const Command& c) {
    std::string why;
    const auto value = environment_.number(c.words.front(), why);
    return {value.value_or(0) != 0, value && why.empty() ? "" : why, false};
  }

  Verdict simple(const Command& c) {
    for (const Assignment& a : c.assignments) {
      environment_.assign(a);
      keep_assigned(a);
    }
    if (c.words.empty()) return decided(true);
    const std::string& first = c.words.front().chars;
    if (first == "[" || first == "test") {
      std::span<const Text> words(c.words);
      words = words.subspan(1);
      if (first == "[" && !words.empty() && words.back().chars == "]") words = words.first(words.size() - 1);
      return Test(words, false, environment_).verdict();
    }
    std::vector<Field> fields;
    for (const Text& raw : c.words)
      for (Field& f : environment_.words(raw)) fields.push_back(std::move(f));
    while (!fields.empty() && fields.front().text.empty()) fields.erase(fields.begin());
    if (fields.empty()) return decided(true);
    return builtin(c, fields);
  }

  Verdict builtin(const Command& c, std::vector<Field>& fields) {
    const std::string name = fields.front().text.chars;
    const int line = c.line;
    if (name == "false") return decided(false);
    if (name == "echo" || name == "printf" || name == ":" || name == "true" || name == "cat")
      return decided(true);
    if (name == "exit") {
      if (undecided_ == 0) stopped_ = true;
    } else if (name == "eval") {
      Text text;
      for (std::size_t i = 1; i < fields.size(); ++i) {
        text.append(fields[i].text);
        text.push(' ', line);
      }
      call(text, {});
    } else if (name == "source" || name == ".") {
      if (fields.size() > 1)
        note(fmt::format("line {}: another file is not read: {}", line, fields[1].text.chars.substr(0, 100)));
    } else if (name == "unset") {
      for (const Field& f : fields) environment_.unset(f.text.chars);
    } else if (name == "shift") {
      auto& arguments = environment_.arguments;
      if (!arguments.empty()) arguments.erase(arguments.begin());
    } else if (name == "set" && fields.size() > 1 && fields[1].text.chars == "--") {
      environment_.arguments.assign(fields.begin() + 2, fields.end());
      environment_.called = true;
    } else if (const auto function = functions_.find(name); function != functions_.end()) {
      call(*function->second, fields);
    } else if (name != "set" && name != "export" && name != "cd") {
      program(c, fields);
    }
    return decided(true);
  }

  // A function, with its own $1, $2, ...
  void call(const Block& body, const std::vector<Field>& fields) {
    if (++calls_ <= kMostCalls) {
      std::vector<Field> arguments(fields.begin() + 1, fields.end());
      std::swap(arguments, environment_.arguments);
      const bool called = std::exchange(environment_.called, true);
      run(body);
      environment_.arguments = std::move(arguments);
      environment_.called = called;
    }
    --calls_;
  }
  // A text that another shell reads; `before`: srun and its options.
  void call(const Text& text, std::vector<Field> before) {
    if (++calls_ <= kMostCalls) {
      std::swap(before, launcher_);
      follow(text);
      std::swap(before, launcher_);
    }
    --calls_;
  }

  void program(const Command& c, std::vector<Field>& fields) {
    for (std::size_t i = 0; i + 2 < fields.size(); ++i) {
      const std::string& option = fields[i + 1].text.chars;
      if (!is_shell(fields[i].text.chars) || !option.starts_with('-') || !option.ends_with('c')) continue;
      std::vector<Field> before(fields.begin(), fields.begin() + static_cast<std::ptrdiff_t>(i));
      const Text inner = fields[i + 2].text;
      call(inner, std::move(before));
      return;
    }
    if (c.document != nullptr && std::ranges::any_of(fields, [](const Field& f) {
          return is_shell(f.text.chars) || f.text.chars == "sbatch";
        }))
      call(*c.document, fields);
    std::vector<Field> words = launcher_;
    words.insert(words.end(), fields.begin(), fields.end());
    runs.push_back({std::move(words), c.line});
  }

  void keep_assigned(const Assignment& a) {
    for (const Text& raw : a.values) {
      if (raw.chars.find("--") == std::string::npos && !a.array) continue;
      for (Field& f : environment_.words(raw)) assigned.push_back(std::move(f));
    }
  }

  std::string where_;
  Environment environment_;
  std::deque<Block> scripts_;  // functions point into them
  std::map<std::string, const Block*> functions_;
  std::vector<Field> launcher_;
  int commands_ = 0, calls_ = 0;
  int undecided_ = 0;  // branches around, that are read on a guess: no `exit` ends the script there
  bool stopped_ = false;
};

// A member of an array such as "--fp8-format hybrid", and "$ARGS" in quotes: words all the same.
std::vector<Field> cut(const Field& field) {
  const std::string& chars = field.text.chars;
  const std::size_t begin = chars.find_first_not_of(" \t\r\n");
  const bool several = begin != std::string::npos &&
                       chars.find_first_of(" \t\r\n", begin) != std::string::npos &&
                       (chars.compare(begin, 2, "--") == 0 || chars.find(" --") != std::string::npos);
  if (!several) return {field};
  std::vector<Field> out;
  for (std::size_t i = begin; i < chars.size();) {
    const std::size_t end = std::min(chars.find_first_of(" \t\r\n", i), chars.size());
    if (end > i) out.push_back({field.text.slice(i, end), field.unknown, false});
    i = end + 1;
  }
  return out;
}

std::string unquoted(std::string text) {
  if (text.size() > 1 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

std::vector<ShellOption> options_of(const std::vector<Field>& words, int line) {
  std::vector<ShellOption> options;
  bool of_srun = false, nodes = false;  // -N is srun's alone
  for (const Field& field : words) {
    for (const Field& word : cut(field)) {
      const std::string& text = word.text.chars;
      const int at = word.text.empty() ? line : word.text.line();
      if (text.starts_with("--") && text.size() > 2) {
        const std::size_t equals = text.find('=');
        std::string name = text.substr(0, equals);
        std::ranges::replace(name, '_', '-');
        options.push_back({std::move(name), {}, at, ""});
        if (equals != std::string::npos) {
          options.back().values.push_back(unquoted(text.substr(equals + 1)));
          options.back().unknown = word.unknown;
        }
      } else if (of_srun && text.starts_with("-N") && !nodes) {
        nodes = true;
        options.push_back({"--nodes", {}, at, ""});
        if (text.size() > 2) options.back().values.push_back(text.substr(text[2] == '=' ? 3 : 2));
      } else if (!options.empty()) {
        options.back().values.push_back(unquoted(text));
        if (options.back().unknown.empty()) options.back().unknown = word.unknown;
      }
      const std::string name = base_name(text);
      if (name == "srun" || name == "salloc") of_srun = true;
      if (name.ends_with(".py") || name == "torchrun" || name.starts_with("python")) of_srun = false;
    }
  }
  return options;
}

// #SBATCH --nodes=4, -N 4
std::vector<ShellOption> batch_options(std::string_view script) {
  std::vector<ShellOption> options;
  int line = 0;
  for (std::size_t begin = 0; begin < script.size();) {
    const std::size_t end = std::min(script.find('\n', begin), script.size());
    const std::string_view row = script.substr(begin, end - begin);
    ++line;
    begin = end + 1;
    if (!row.starts_with("#SBATCH")) continue;
    std::vector<Field> words = {{Text::of("srun", line), "", false}};
    std::string_view rest = row.substr(7);
    rest = rest.substr(0, rest.find(" #"));
    for (std::size_t i = 0; i < rest.size();) {
      const std::size_t stop = std::min(rest.find_first_of(" \t\r", i), rest.size());
      if (stop > i) words.push_back({Text::of(rest.substr(i, stop - i), line), "", false});
      i = stop + 1;
    }
    for (ShellOption& o : options_of(words, line)) options.push_back(std::move(o));
  }
  return options;
}

struct Candidate {
  std::size_t known = 0;
  bool trains = false;  // runs pretrain_*.py
  bool operator<(const Candidate& other) const {
    return std::pair(trains && known > 0, known) < std::pair(other.trains && other.known > 0, other.known);
  }
};

Candidate judged(const Run& run, const std::vector<ShellOption>& options, KnownOption known) {
  Candidate c;
  std::set<std::string_view> names;
  for (const ShellOption& o : options)
    if (known(o.name)) names.insert(o.name);
  c.known = names.size();
  c.trains = std::ranges::any_of(run.words, [](const Field& f) {
    const std::string name = base_name(f.text.chars);
    return name.starts_with("pretrain") && name.ends_with(".py");
  });
  return c;
}

std::string shown(const Run& run) {
  std::string out;
  for (const Field& f : run.words) {
    if (f.text.empty()) continue;
    if (!out.empty()) out += ' ';
    out += f.text.chars;
    if (out.size() > 40) return out.substr(0, 40) + "...";
  }
  return out;
}

}  // namespace

LaunchCommand launch_command(std::string_view script, const std::string& where, KnownOption known) {
  if (script.size() > kLargestScript) throw ConfigError(where + ": larger than 1 MiB: no launch script");
  Interpreter shell(where);
  LaunchCommand out;
  const std::vector<ShellOption> batch = batch_options(script);
  for (const ShellOption& o : batch)
    if (o.name == "--nodes" && !o.values.empty())
      for (const char* name : {"SLURM_NNODES", "SLURM_JOB_NUM_NODES"})
        shell.environment().set(name, {Text::of(o.values.front(), o.line), "", false});
  shell.follow(Text::of(script, 1));

  Run bare;  // options without a command: a list of them is a script too
  std::vector<Run> runs;
  for (Run& run : shell.runs) {
    if (run.words.front().text.chars.starts_with("--")) {
      if (bare.words.empty()) bare.line = run.line;
      std::ranges::move(run.words, std::back_inserter(bare.words));
    } else {
      runs.push_back(std::move(run));
    }
  }
  if (!bare.words.empty()) runs.push_back(std::move(bare));
  std::size_t best = 0;
  std::vector<Candidate> judgements;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    judgements.push_back(judged(runs[i], options_of(runs[i].words, runs[i].line), known));
    if (!(judgements[i] < judgements[best])) best = i;
  }
  if (runs.empty() || judgements[best].known == 0) {
    runs.push_back({shell.assigned, 1});
    best = runs.size() - 1;
    judgements.push_back(judged(runs[best], options_of(runs[best].words, 1), known));
    if (judgements[best].known > 0)
      out.notes.emplace_back(
          "no command of the script has options of Megatron-LM: those that it assigns are read");
  }
  out.options = batch;
  for (ShellOption& o : options_of(runs[best].words, runs[best].line)) out.options.push_back(std::move(o));
  for (std::size_t i = 0; i < judgements.size(); ++i)
    if (i != best && judgements[i].known > 0)
      out.notes.push_back(
          fmt::format("line {}: the options of `{}` are left out: `{}` of line {} is the training",
                      runs[i].line, shown(runs[i]), shown(runs[best]), runs[best].line));
  for (std::string& note : shell.notes) out.notes.push_back(std::move(note));
  return out;
}

}  // namespace runcast
