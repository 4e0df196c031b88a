// A tokenizer of the part of the shell's grammar that launch scripts use.
#include "scenarios/interchange/shell_arguments.hpp"

#include <algorithm>
#include <cctype>
#include <map>

namespace runcast {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

struct Token {
  std::string text;
  int line = 0;
};

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Ends of the parts of an expansion that starts at `$`; `next` is the first character behind it.
struct Expansion {
  std::string name, fallback;
  std::size_t next = 0;
};

Expansion expansion_at(std::string_view text, std::size_t at) {
  Expansion e;
  std::size_t i = at + 1;
  if (i < text.size() && text[i] == '{') {
    const std::size_t end = std::min(text.find('}', i), text.size());
    const std::string_view inside = text.substr(i + 1, end - i - 1);
    const std::size_t stop =
        static_cast<std::size_t>(std::find_if_not(inside.begin(), inside.end(), is_name) - inside.begin());
    e.name = inside.substr(0, stop);
    const std::string_view rest = inside.substr(stop);
    if (rest.starts_with(":-") || rest.starts_with(":=")) e.fallback = rest.substr(2);
    if (!rest.empty() && rest[0] == '[') e.name.clear();  // an array: its members are read where they stand
    e.next = std::min(end + 1, text.size());
    return e;
  }
  while (i < text.size() && is_name(text[i])) e.name += text[i++];
  e.next = std::max(i, at + 1);
  return e;
}

// Of all expansions of a script: variables that contain each other many times grow without end.
constexpr std::size_t kMostExpanded = 4 << 20;

std::string expanded(std::string_view text, const Variables& variables, std::size_t& budget) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      out += text[i++];
      continue;
    }
    const Expansion e = expansion_at(text, i);
    const auto known = variables.find(e.name);
    const std::string& value = known != variables.end() ? known->second : e.fallback;
    if (value.size() > budget) budget = 0;  // what is past it stays empty
    if (budget > 0) {
      out += value;
      budget -= value.size();
    }
    i = e.next;
  }
  return out;
}

// Cuts at blanks, brackets and separators; quotes join, a backslash escapes, # opens a comment at a token's begin.
std::vector<Token> tokens_of(std::string_view text, int line) {
  std::vector<Token> tokens;
  std::string token;
  bool open = false;
  char quote = 0;
  const auto close = [&] {
    if (open) tokens.push_back({token, line});
    token.clear();
    open = false;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size() && quote != '\'') {
      ++i;
      if (text[i] == '\n') {
        if (quote == 0) close();
        ++line;
      } else if (text[i] == '\r') {
        // a script with CR LF: the line goes on
      } else {
        token += text[i];
        open = true;
      }
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        token += c;
        if (c == '\n') ++line;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      open = true;
    } else if (c == '#' && !open) {
      while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0 || c == ';' || c == '&' || c == '|') {
      close();
      if (c == '\n') ++line;
    } else if (c == '(' || c == ')') {
      // an array's brackets; those of "([0]*3+[1]*58)" stand in quotes
      close();
    } else {
      token += c;
      open = true;
    }
  }
  close();
  return tokens;
}

class Reader {
 public:
  std::vector<ShellOption> options;

  void read(std::string_view text, int line, int depth) {
    for (const Token& token : tokens_of(text, line)) {
      if (depth == 0 && assigns(token)) continue;
      take(expanded(token.text, variables_, budget_), token.line, depth);
    }
  }

 private:
  bool assigns(const Token& token) {
    const std::size_t equals = token.text.find('=');
    if (equals == std::string::npos || equals == 0 ||
        !std::all_of(token.text.begin(), token.text.begin() + static_cast<long>(equals), is_name))
      return false;
    const std::string value = expanded(std::string_view(token.text).substr(equals + 1), variables_, budget_);
    variables_[token.text.substr(0, equals)] = value;
    if (value.find("--") != std::string::npos) read(value, token.line, 1);  // ARGS="--num-layers 96 ..."
    return true;
  }

  void take(const std::string& word, int line, int depth) {
    if (depth == 0 && word.find("--") != std::string::npos && word.find(' ') != std::string::npos)
      return;  // "$ARGS" in quotes: read where it was assigned
    if (word.starts_with("--") && word.size() > 2) {
      const std::size_t equals = word.find('=');
      std::string name = word.substr(0, equals);
      std::replace(name.begin(), name.end(), '_', '-');
      options.push_back({name, {}, line});
      if (equals != std::string::npos) options.back().values.push_back(word.substr(equals + 1));
    } else if (!options.empty()) {
      options.back().values.push_back(word);
    }
  }

  Variables variables_;
  std::size_t budget_ = kMostExpanded;
};

}  // namespace

std::vector<ShellOption> shell_options(std::string_view script) {
  Reader reader;
  reader.read(script, 1, 0);
  return reader.options;
}

}  // namespace runcast
