// A recursive reader; each construct is a function of its name.
#include "scenarios/interchange/shell_syntax.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "sim/error.hpp"

namespace runcast::shell {
namespace {

constexpr int kMaxDepth = 100;
constexpr std::size_t kLongestSource = 60;  // of a condition, in a sentence

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool ends_word(char c) {
  return is_blank(c) || c == '\n' || c == ';' || c == '&' || c == '|' || c == '(' || c == ')' || c == '<' ||
         c == '>';
}

std::size_t end_of_brackets(std::string_view text, std::size_t at, char open, char close, int depth) {
  int levels = 1;
  while (at < text.size()) {
    if (text[at] == open) ++levels;
    if (text[at] == close && --levels == 0) return at + 1;
    at = text[at] == open ? at + 1 : end_of_piece(text, at, depth + 1);
  }
  return text.size();
}

using Ends = std::initializer_list<std::string_view>;

class Parser {
 public:
  Parser(const Text& text, const std::string& where) : text_(text), chars_(text.chars), where_(where) {}

  Block block(Ends ends) {
    if (++depth_ > kMaxDepth)
      throw ConfigError(
          fmt::format("{}:{}: a script nested deeper than {} levels is not read", where_, line(), kMaxDepth));
    Block out;
    Command::Join join = Command::Join::always;
    while (true) {
      skip_separators(ends);
      if (at_ >= chars_.size() || comes_any(ends)) break;
      const std::size_t before = at_;
      Command c = command();
      c.join = join;
      if (at_ > before && has_content(c)) out.push_back(std::move(c));
      join = connector();
      if (at_ == before) ++at_;  // no command begins so
    }
    --depth_;
    return out;
  }

 private:
  struct Pending {
    std::string end;
    bool tabs = false;
    std::shared_ptr<Text> document;
  };

  static bool has_content(const Command& c) {
    return c.kind != Command::Kind::simple || !c.words.empty() || !c.assignments.empty();
  }
  int line() const { return text_.lines.empty() ? 1 : text_.lines[std::min(at_, text_.lines.size() - 1)]; }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < chars_.size() ? chars_[at_ + ahead] : '\0'; }
  bool starts(std::string_view word) const { return chars_.compare(at_, word.size(), word) == 0; }
  // A reserved word or sign at this place.
  bool comes(std::string_view word) const {
    if (!starts(word)) return false;
    const char next = peek(word.size());
    return word == ")" || word == ";;" || at_ + word.size() >= chars_.size() || ends_word(next);
  }
  bool comes_any(Ends words) const {
    return std::any_of(words.begin(), words.end(), [&](std::string_view w) { return comes(w); });
  }
  bool take(std::string_view word) {
    if (!comes(word)) return false;
    at_ += word.size();
    return true;
  }

  std::size_t continuation() const {  // length of an escaped line end here
    if (peek() != '\\') return 0;
    return peek(1) == '\n' ? 2 : peek(1) == '\r' && peek(2) == '\n' ? 3 : 0;
  }
  void skip_blanks() {
    while (at_ < chars_.size()) {
      const std::size_t escaped = continuation();
      if (escaped == 0 && !is_blank(chars_[at_])) return;
      at_ += std::max<std::size_t>(1, escaped);
    }
  }
  void skip_comment() {
    if (peek() == '#') at_ = std::min(chars_.find('\n', at_), chars_.size());
  }
  void skip_lines() {  // blanks, comments and line ends
    while (true) {
      skip_blanks();
      skip_comment();
      if (peek() != '\n' || at_ >= chars_.size()) return;
      ++at_;
      read_documents();
    }
  }
  void skip_separators(Ends ends) {
    while (true) {
      skip_lines();
      if (comes_any(ends) || (peek() != ';' && peek() != '&')) return;
      ++at_;
    }
  }
  void read_documents() {
    for (Pending& p : std::exchange(pending_, {})) {
      while (at_ < chars_.size()) {
        const std::size_t end = std::min(chars_.find('\n', at_), chars_.size());
        std::string_view row = std::string_view(chars_).substr(at_, end - at_);
        if (row.ends_with('\r')) row.remove_suffix(1);
        while (p.tabs && row.starts_with('\t')) row.remove_prefix(1);
        const bool last = row == p.end;
        const std::size_t next = std::min(end + 1, chars_.size());
        if (!last) p.document->append(text_.slice(at_, next));
        at_ = next;
        if (last) break;
      }
    }
  }

  Command::Join connector() {
    skip_blanks();
    if (starts("&&") || starts("||")) {
      at_ += 2;
      return chars_[at_ - 1] == '&' ? Command::Join::if_true : Command::Join::if_false;
    }
    if (peek() == '|') at_ += peek(1) == '&' ? 2 : 1;
    return Command::Join::always;
  }

  Command command() {
    Command c;
    c.line = line();
    while (peek() == '!' && (is_blank(peek(1)) || peek(1) == '\n')) {
      ++at_;
      skip_blanks();
      c.negated = !c.negated;
    }
    if (take("if")) {
      choice(c);
    } else if (take("case")) {
      selection(c);
    } else if (take("for")) {
      for_each(c);
    } else if (take("while") || take("until")) {
      c.negated = chars_[at_ - 1] == 'l';
      c.kind = Command::Kind::repetition;
      c.branches.push_back(branch("do"));
      c.branches.back().body = block({"done"});
      take("done");
    } else if (take("function")) {
      skip_blanks();
      c.words.push_back(word());
      skip_blanks();
      if (starts("()")) at_ += 2;
      function(c);
    } else if (starts("((")) {
      arithmetic(c);
    } else if (take("[[")) {
      test(c);
    } else if (comes("{") || peek() == '(') {
      const bool braces = chars_[at_++] == '{';
      c.kind = Command::Kind::group;
      c.branches.emplace_back();
      c.branches.back().body = braces ? block({"}"}) : block({")"});
      take(braces ? "}" : ")");
      redirections();
    } else {
      simple(c);
    }
    return c;
  }

  Branch branch(std::string_view behind) {
    Branch b;
    skip_blanks();
    b.line = line();
    const std::size_t from = at_;
    b.condition = block({behind});
    b.source = chars_.substr(from, at_ - from);
    while (!b.source.empty() &&
           (is_blank(b.source.back()) || b.source.back() == '\n' || b.source.back() == ';'))
      b.source.pop_back();
    std::replace(b.source.begin(), b.source.end(), '\n', ' ');
    if (b.source.size() > kLongestSource) b.source = b.source.substr(0, kLongestSource) + "...";
    take(behind);
    return b;
  }
  void choice(Command& c) {
    c.kind = Command::Kind::choice;
    do {
      c.branches.push_back(branch("then"));
      c.branches.back().body = block({"elif", "else", "fi"});
    } while (take("elif"));
    if (take("else")) {
      c.branches.emplace_back();
      c.branches.back().line = line();
      c.branches.back().source = "else";
      c.branches.back().body = block({"fi"});
    }
    take("fi");
  }
  void selection(Command& c) {
    c.kind = Command::Kind::selection;
    skip_blanks();
    c.words.push_back(word());
    skip_lines();
    take("in");
    while (true) {
      skip_lines();
      const std::size_t before = at_;
      if (at_ >= chars_.size() || take("esac")) return;
      Branch b;
      b.line = line();
      if (peek() == '(') ++at_;
      while (true) {
        skip_blanks();
        b.patterns.push_back(word());
        b.source += (b.source.empty() ? "" : "|") + b.patterns.back().chars;
        skip_blanks();
        if (peek() != '|') break;
        ++at_;
      }
      if (peek() == ')') ++at_;
      b.body = block({";;", ";&", ";;&", "esac"});
      if (starts(";")) at_ += starts(";;&") ? 3 : 2;
      at_ = std::min(at_, chars_.size());
      c.branches.push_back(std::move(b));
      if (at_ == before) ++at_;
    }
  }
  void for_each(Command& c) {
    c.kind = Command::Kind::for_each;
    skip_blanks();
    c.branches.emplace_back();
    Branch& b = c.branches.back();
    b.line = line();
    if (starts("((")) {
      at_ = end_of_brackets(chars_, at_ + 1, '(', ')', depth_);
      c.words.emplace_back();
    } else {
      c.words.push_back(word());
      skip_lines();
      if (take("in"))
        for (skip_blanks(); at_ < chars_.size() && !ends_word(peek()); skip_blanks())
          b.patterns.push_back(word());
    }
    skip_separators({"do"});
    take("do");
    b.body = block({"done"});
    take("done");
  }
  void function(Command& c) {
    c.kind = Command::Kind::function;
    skip_lines();
    if (++depth_ > kMaxDepth)
      throw ConfigError(
          fmt::format("{}:{}: a script nested deeper than {} levels is not read", where_, line(), kMaxDepth));
    c.branches.emplace_back();
    if (at_ < chars_.size()) c.branches.back().body.push_back(command());
    --depth_;
  }
  void arithmetic(Command& c) {
    c.kind = Command::Kind::arithmetic;
    const std::size_t from = at_ + 2;
    at_ = end_of_brackets(chars_, at_ + 1, '(', ')', depth_);
    c.words.push_back(text_.slice(std::min(from, at_), std::max(from, at_) - (at_ > from ? 1 : 0)));
    if (!c.words.back().empty() && c.words.back().chars.back() == ')') {
      c.words.back().chars.pop_back();
      c.words.back().lines.pop_back();
    } else if (peek() == ')') {
      ++at_;
    }
  }
  void test(Command& c) {
    c.kind = Command::Kind::test;
    bool pattern = false;  // of =~: brackets belong to it
    for (skip_lines(); at_ < chars_.size() && !take("]]"); skip_lines()) {
      const std::size_t from = at_;
      if (pattern) {
        while (at_ < chars_.size() && !is_blank(peek()) && peek() != '\n') at_ = end_of_piece(chars_, at_);
        c.words.push_back(text_.slice(from, at_));
      } else if (starts("&&") || starts("||")) {
        at_ += 2;
        c.words.push_back(text_.slice(from, at_));
      } else if (ends_word(peek())) {
        ++at_;
        c.words.push_back(text_.slice(from, at_));
      } else {
        c.words.push_back(word());
      }
      pattern = c.words.back().chars == "=~";
    }
  }

  // > file, 2>&1, < file, <<END, <<< word
  bool redirection() {
    std::size_t digits = 0;
    while (std::isdigit(static_cast<unsigned char>(peek(digits))) != 0) ++digits;
    const bool both = peek() == '&' && peek(1) == '>';
    const char sign = peek(both ? 1 : digits);
    if (sign != '<' && sign != '>') return false;
    at_ += both ? 1 : digits;
    if (starts("<<") && !starts("<<<")) {
      at_ += 2;
      Pending p{"", peek() == '-', std::make_shared<Text>()};
      if (p.tabs) ++at_;
      skip_blanks();
      for (const char c : word().chars)
        if (c != '"' && c != '\'' && c != '\\') p.end += c;
      document_ = p.document;
      pending_.push_back(std::move(p));
      return true;
    }
    while (peek() == '<' || peek() == '>') ++at_;
    if (peek() == '&' || peek() == '|') ++at_;
    skip_blanks();
    if (peek() == '(') at_ = end_of_brackets(chars_, at_ + 1, '(', ')', depth_);
    word();
    return true;
  }
  void redirections() {
    for (skip_blanks(); redirection(); skip_blanks()) {
    }
  }

  Text word() {
    const std::size_t from = at_;
    while (at_ < chars_.size() && !ends_word(chars_[at_])) at_ = end_of_piece(chars_, at_, depth_);
    return text_.slice(from, at_);
  }
  static bool declares(std::string_view word) {
    return word == "export" || word == "declare" || word == "local" || word == "readonly" ||
           word == "typeset";
  }

  void simple(Command& c) {
    document_.reset();
    while (true) {
      skip_blanks();
      skip_comment();
      if (at_ >= chars_.size()) break;
      if (redirection()) continue;
      if (peek() == '(' && c.words.size() == 1 && peek(1) == ')') {
        at_ += 2;
        function(c);
        return;
      }
      if (peek() == '(' && !c.words.empty()) {  // of options that nobody quoted: ([0]*3+[1]*58)
        const std::size_t from = at_;
        at_ = end_of_brackets(chars_, at_ + 1, '(', ')', depth_);
        c.words.push_back(text_.slice(from, at_));
        continue;
      }
      if (ends_word(peek())) break;
      if ((c.words.empty() || declares(c.words.front().chars)) && assignment(c)) continue;
      const std::size_t from = at_;
      c.words.push_back(word());
      if (at_ == from) break;
    }
    c.document = document_;
  }
  bool assignment(Command& c) {
    std::size_t i = at_;
    while (i < chars_.size() && is_name_character(chars_[i])) ++i;
    if (i == at_ || i >= chars_.size()) return false;
    Assignment a;
    a.name = chars_.substr(at_, i - at_);
    if (chars_[i] == '[') return false;
    if (chars_[i] == '+') a.append = true, ++i;
    if (i >= chars_.size() || chars_[i] != '=') return false;
    at_ = i + 1;
    if (peek() == '(') {
      a.array = true;
      ++at_;
      for (skip_lines(); at_ < chars_.size() && peek() != ')'; skip_lines()) {
        const std::size_t from = at_;
        Text member = word();
        if (at_ == from)
          ++at_;
        else
          a.values.push_back(std::move(member));
      }
      at_ = std::min(at_ + 1, chars_.size());
    } else {
      a.values.push_back(word());
    }
    c.assignments.push_back(std::move(a));
    return true;
  }

  const Text& text_;
  const std::string& chars_;
  std::string where_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::vector<Pending> pending_;
  std::shared_ptr<Text> document_;
};

}  // namespace

Text Text::of(std::string_view text, int line) {
  Text out;
  out.chars = text;
  out.lines.reserve(text.size());
  for (const char c : text) {
    out.lines.push_back(line);
    if (c == '\n') ++line;
  }
  return out;
}
void Text::push(char c, int line) {
  chars += c;
  lines.push_back(line);
}
void Text::append(const Text& other) {
  chars += other.chars;
  lines.insert(lines.end(), other.lines.begin(), other.lines.end());
}
Text Text::slice(std::size_t from, std::size_t to) const {
  Text out;
  out.chars = chars.substr(from, to - from);
  out.lines.assign(lines.begin() + static_cast<std::ptrdiff_t>(from),
                   lines.begin() + static_cast<std::ptrdiff_t>(to));
  return out;
}

bool is_name_character(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::size_t end_of_piece(std::string_view text, std::size_t at, int depth) {
  if (at >= text.size() || depth > kMaxDepth) return text.size();
  const char c = text[at];
  if (c == '\\') return std::min(at + (text.substr(at + 1, 2) == "\r\n" ? 3 : 2), text.size());
  if (c == '\'') return std::min(text.find('\'', at + 1), text.size() - 1) + 1;
  if (c == '`') {
    for (++at; at < text.size() && text[at] != '`';) at += text[at] == '\\' ? 2 : 1;
    return std::min(at + 1, text.size());
  }
  if (c == '"') {
    for (++at; at < text.size() && text[at] != '"';)
      at =
          text[at] == '\\' || text[at] == '$' || text[at] == '`' ? end_of_piece(text, at, depth + 1) : at + 1;
    return std::min(at + 1, text.size());
  }
  if (c == '$' && at + 1 < text.size()) {
    if (text[at + 1] == '(') return end_of_brackets(text, at + 2, '(', ')', depth);
    if (text[at + 1] == '{') return end_of_brackets(text, at + 2, '{', '}', depth);
  }
  return at + 1;
}

Block parse(const Text& text, const std::string& where) { return Parser(text, where).block({}); }

}  // namespace runcast::shell
