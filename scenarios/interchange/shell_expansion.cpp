// See the header.
#include "scenarios/interchange/shell_expansion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace runcast::shell {
namespace {

constexpr int kMaxDepth = 40;  // of defaults in defaults
constexpr int kMostStripped = 1000;

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

Field unknown(std::string why) { return {{}, std::move(why), false}; }
Field known(std::string_view text, int line) { return {Text::of(text, line), "", false}; }

bool is_blank(const std::vector<Field>& values) {
  return std::all_of(values.begin(), values.end(), [](const Field& f) { return f.text.empty(); });
}

// ${A%pattern} and its like: the shortest or longest end or beginning that matches is taken away.
void strip(Text& text, std::string_view sign, const std::string& pattern) {
  const bool front = sign[0] == '#', longest = sign.size() == 2;
  const std::size_t n = text.chars.size();
  for (std::size_t i = 0; i <= n; ++i) {
    const std::size_t length = longest ? n - i : i;
    const std::string_view all = text.chars;
    if (!matches(pattern, front ? all.substr(0, length) : all.substr(n - length))) continue;
    text = front ? text.slice(length, n) : text.slice(0, n - length);
    return;
  }
}

}  // namespace

void Environment::set(const std::string& name, Field value) {
  variables_[name] = {{std::move(value)}, false};
}

void Environment::assign(const Assignment& a) {
  std::vector<Field> values;
  if (a.array) {
    for (const Text& member : a.values)
      for (Field& field : words(member)) values.push_back(std::move(field));
  } else {
    values.push_back(single(a.values.front()));
  }
  Value& old = variables_[a.name];
  if (!a.append) {
    old = {std::move(values), a.array};
  } else if (a.array) {
    old.array = true;
    for (Field& field : values) old.members.push_back(std::move(field));
  } else if (old.members.empty()) {
    old.members = std::move(values);
  } else {
    old.members.front().text.append(values.front().text);
    if (old.members.front().unknown.empty()) old.members.front().unknown = values.front().unknown;
  }
}

std::vector<Field> Environment::words(const Text& raw) { return expanded(raw, Mode::words); }

Field Environment::single(const Text& raw, bool pattern) {
  std::vector<Field> all = expanded(raw, pattern ? Mode::pattern : Mode::single);
  return all.empty() ? Field{} : std::move(all.front());
}

std::optional<std::int64_t> Environment::named_number(std::string_view name) {
  const auto at = variables_.find(name);
  if (at == variables_.end() || at->second.members.empty() || ++depth_ > kMaxDepth) return std::nullopt;
  const auto value = arithmetic(at->second.members.front().text.chars,
                                [&](std::string_view inner) { return named_number(inner); });
  --depth_;
  return value;
}

std::optional<std::int64_t> Environment::number(const Text& raw, std::string& why) {
  const Field text = single(raw);
  const auto value = arithmetic(text.text.chars, [&](std::string_view name) { return named_number(name); });
  if (!text.unknown.empty())
    why = text.unknown;
  else if (!value)
    why = fmt::format("'{}' is arithmetic that cannot be done here", raw.chars.substr(0, 60));
  return value;
}

std::vector<Field> Environment::expanded(const Text& raw, Mode mode) {
  std::vector<Field> done;
  if (++depth_ > kMaxDepth) {
    --depth_;
    return {unknown("it is nested too deep")};
  }
  Field open;
  bool started = false, in_quotes = false;
  const std::string& chars = raw.chars;
  const auto keep = [&](std::size_t i, bool literal) {
    if (mode == Mode::pattern && literal) open.text.push('\\', raw.lines[i]);
    open.text.push(chars[i], raw.lines[i]);
    started = true;
  };
  for (std::size_t i = 0; i < chars.size();) {
    const char c = chars[i];
    if (c == '"') {
      in_quotes = !in_quotes;
      started = open.quoted = true;
      ++i;
    } else if (c == '\'' && !in_quotes) {
      const std::size_t end = std::min(chars.find('\'', i + 1), chars.size());
      for (++i; i < end; ++i) keep(i, true);
      started = open.quoted = true;
      ++i;
    } else if (c == '\\' && i + 1 < chars.size()) {
      const char next = chars[i + 1];
      if (next == '\r' && i + 2 < chars.size() && chars[i + 2] == '\n') {
        i += 3;
        continue;
      }
      if (next != '\n') {
        if (in_quotes && next != '$' && next != '`' && next != '"' && next != '\\') keep(i, true);
        keep(i + 1, true);
      }
      i += 2;
    } else if (c == '`' || (c == '$' && i + 1 < chars.size())) {
      const Parameter p = parameter_at(raw, i);
      put(p, in_quotes, mode, done, open, started);
      i = p.next;
    } else {
      keep(i++, in_quotes);
    }
  }
  if (started) done.push_back(std::move(open));
  --depth_;
  return done;
}

void Environment::put(const Parameter& p, bool quoted, Mode mode, std::vector<Field>& done, Field& open,
                      bool& started) {
  const auto close = [&] {
    if (started) done.push_back(std::move(open));
    open = {};
    started = false;
  };
  for (std::size_t k = 0; k < p.values.size(); ++k) {
    const Field& value = p.values[k];
    const bool joined = mode != Mode::words || (quoted && p.joined);
    if (k > 0 && !joined) close();
    if (k > 0 && joined) open.text.push(' ', value.text.line());
    if (open.unknown.empty()) open.unknown = value.unknown;
    if (value.text.chars.size() > budget_) {
      budget_ = 0;
      open.unknown = "the script's variables grow past 4 MiB";
      started = true;
      continue;
    }
    budget_ -= value.text.chars.size();
    if (!value.unknown.empty()) started = true;
    if (quoted) started = open.quoted = true;
    if (quoted || mode != Mode::words) {
      for (std::size_t i = 0; i < value.text.chars.size(); ++i) {
        if (quoted && mode == Mode::pattern) open.text.push('\\', value.text.lines[i]);
        open.text.push(value.text.chars[i], value.text.lines[i]);
        started = true;
      }
      continue;
    }
    for (std::size_t i = 0; i < value.text.chars.size(); ++i) {
      if (is_space(value.text.chars[i])) {
        close();
      } else {
        open.text.push(value.text.chars[i], value.text.lines[i]);
        started = true;
      }
    }
  }
}

Environment::Parameter Environment::parameter_at(const Text& raw, std::size_t at) {
  const std::string& chars = raw.chars;
  const std::size_t end = end_of_piece(chars, at);
  if (chars[at] == '`')
    return {{command_output(raw.slice(at + 1, std::max(at + 1, end - 1)), raw.lines[at])}, end};
  if (chars.compare(at, 3, "$((") == 0 && end >= at + 5 && chars.compare(end - 2, 2, "))") == 0) {
    std::string why;
    const auto value = number(raw.slice(at + 3, end - 2), why);
    Field field = value ? known(fmt::format("{}", *value), raw.lines[at]) : Field{};
    field.unknown = why;
    return {{field}, end};
  }
  if (chars.compare(at, 2, "$(") == 0)
    return {{command_output(raw.slice(at + 2, std::max(at + 2, end - 1)), raw.lines[at])}, end};
  if (chars.compare(at, 2, "${") == 0)
    return {in_braces(raw.slice(at + 2, std::max(at + 2, end - 1))), end,
            std::string_view(chars).substr(at, end - at).find("[*]") != std::string_view::npos};
  std::size_t i = at + 1;
  while (i < chars.size() && is_name_character(chars[i])) ++i;
  if (std::isdigit(static_cast<unsigned char>(chars[at + 1])) != 0) i = at + 2;
  if (i == at + 1 && std::string_view("@*#?$!-").find(chars[i]) != std::string_view::npos) ++i;
  if (i == at + 1) return {{chars[i] == '\'' || chars[i] == '"' ? Field{} : known("$", raw.lines[at])}, i};
  bool is_known = true;
  return {value_of(std::string_view(chars).substr(at + 1, i - at - 1), "", is_known), i,
          chars[at + 1] == '*'};
}

Field Environment::command_output(const Text& inside, int line) {
  const std::size_t expr = inside.chars.find("expr ");
  if (expr != std::string::npos && inside.chars.find_first_not_of(" \t") == expr) {
    std::string why, text;
    for (const Field& f : words(inside.slice(expr + 5, inside.chars.size()))) text += f.text.chars + ' ';
    // Quotes and escapes as in `expr $A \* $B`: cut as one word, the blanks stay.
    const auto value = arithmetic(text, [](std::string_view) { return std::nullopt; });
    if (value) return known(fmt::format("{}", *value), line);
  }
  return unknown(fmt::format("$({}) is not run", inside.chars.substr(0, 40)));
}

std::vector<Field> Environment::value_of(std::string_view name, std::string_view subscript, bool& is_known) {
  if (name == "?") return {known("0", 0)};
  if (name == "@" || name == "*" || name == "#") {
    is_known = called;
    if (!called && name != "#") return {};
    if (name != "#") return arguments;
    Field count = known(fmt::format("{}", arguments.size()), 0);
    if (!called) count.unknown = "$# is the command line's";
    return {count};
  }
  if (!name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) != 0) {
    const std::size_t n = name.size() > 3 ? 9999 : std::stoul(std::string(name));
    is_known = called && n >= 1 && n <= arguments.size();
    if (is_known) return {arguments[n - 1]};
    return {called && n > 0 ? Field{} : unknown(fmt::format("${} is the command line's", name))};
  }
  const auto at = variables_.find(name);
  is_known = at != variables_.end();
  if (!is_known) return {unknown(fmt::format("{} is not set in the script", name.substr(0, 60)))};
  const Value& value = at->second;
  if (subscript == "@" || subscript == "*") return value.members;
  std::size_t index = 0;
  if (!subscript.empty()) {
    const auto number = arithmetic(subscript, [&](std::string_view n) { return named_number(n); });
    if (!number || *number < 0)
      return {unknown(fmt::format("{}[{}] cannot be told", name.substr(0, 60), subscript.substr(0, 60)))};
    index = static_cast<std::size_t>(*number);
  }
  return {index < value.members.size() ? value.members[index] : Field{}};
}

std::vector<Field> Environment::in_braces(const Text& inside) {
  const std::string& chars = inside.chars;
  const bool length = chars.size() > 1 && chars[0] == '#';
  std::size_t i = length ? 1 : 0;
  const std::size_t from = i;
  while (i < chars.size() && is_name_character(chars[i])) ++i;
  if (i == from && i < chars.size() && std::string_view("@*#?").find(chars[i]) != std::string_view::npos) ++i;
  const std::string name = chars.substr(from, i - from);
  std::string subscript;
  if (i < chars.size() && chars[i] == '[') {
    const std::size_t close = std::min(chars.find(']', i), chars.size());
    subscript = single(inside.slice(i + 1, close)).text.chars;
    i = std::min(close + 1, chars.size());
  }
  if (name.empty()) return {unknown(fmt::format("${{{}}} is not read", chars.substr(0, 40)))};
  bool is_known = true;
  std::vector<Field> values = value_of(name, subscript, is_known);
  if (length) {
    const bool list = subscript == "@" || subscript == "*" || values.empty();
    Field count =
        known(fmt::format("{}", list ? values.size() : values.front().text.chars.size()), inside.line());
    if (!is_known) count.unknown = fmt::format("{} is not known", name.substr(0, 60));
    return {count};
  }
  return i == chars.size() ? values
                           : changed(std::move(values), is_known, inside.slice(i, chars.size()), name);
}

std::vector<Field> Environment::changed(std::vector<Field> values, bool is_known, const Text& operation,
                                        const std::string& name) {
  std::string_view op = operation.chars;
  const bool colon =
      op.size() > 1 && op[0] == ':' && std::string_view("-=+?").find(op[1]) != std::string_view::npos;
  const std::size_t skip = colon ? 2 : 1;
  const char sign = op[skip - 1];
  const auto rest = [&](std::size_t from) { return operation.slice(std::min(from, op.size()), op.size()); };
  const bool blank = is_blank(values);
  const bool absent = !is_known || (blank && (colon || (!values.empty() && !values.front().unknown.empty())));
  if (sign == '-' || sign == '=') {
    if (!absent) return values;
    Field fallback = single(rest(skip));
    if (sign == '=') set(name, fallback);
    return {fallback};
  }
  if (sign == '+') return {absent ? Field{} : single(rest(skip))};
  if (sign == '?') return values;
  if (sign == '%' || sign == '#') {
    const std::string_view both = op.substr(0, op.size() > 1 && op[1] == sign ? 2 : 1);
    const std::string pattern = single(rest(both.size()), true).text.chars;
    for (Field& f : values)
      if (++stripped_ <= kMostStripped) strip(f.text, both, pattern);
    return values;
  }
  if (op == ",," || op == "^^") {
    for (Field& f : values)
      for (char& c : f.text.chars)
        c = static_cast<char>(sign == ',' ? std::tolower(static_cast<unsigned char>(c))
                                          : std::toupper(static_cast<unsigned char>(c)));
    return values;
  }
  return {unknown(fmt::format("${{{}{}}} is not read", name.substr(0, 60), op.substr(0, 40)))};
}

}  // namespace runcast::shell
