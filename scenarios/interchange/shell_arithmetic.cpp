// Integer arithmetic and patterns of the shell.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "scenarios/interchange/shell_expansion.hpp"

namespace runcast::shell {
namespace {

using Number = std::int64_t;
using Maybe = std::optional<Number>;

struct Operator {
  std::string_view sign;
  int binds;
};
constexpr std::array<Operator, 14> kOperators = {{{"||", 1},
                                                  {"&&", 2},
                                                  {"==", 3},
                                                  {"!=", 3},
                                                  {"<=", 4},
                                                  {">=", 4},
                                                  {"<", 4},
                                                  {">", 4},
                                                  {"+", 5},
                                                  {"-", 5},
                                                  {"**", 7},
                                                  {"*", 6},
                                                  {"/", 6},
                                                  {"%", 6}}};

Maybe power(Number a, Number b) {
  if (b < 0 || b > 63) return std::nullopt;
  Number out = 1;
  for (; b > 0; --b)
    if (__builtin_mul_overflow(out, a, &out)) return std::nullopt;
  return out;
}

Maybe apply(std::string_view sign, Number a, Number b) {
  Number out = 0;
  if (sign == "+") return __builtin_add_overflow(a, b, &out) ? Maybe() : out;
  if (sign == "-") return __builtin_sub_overflow(a, b, &out) ? Maybe() : out;
  if (sign == "*") return __builtin_mul_overflow(a, b, &out) ? Maybe() : out;
  if (sign == "**") return power(a, b);
  if (sign == "/" || sign == "%") {
    if (b == 0 || b == -1) return b == 0 ? Maybe() : sign == "%" ? Maybe(0) : apply("-", 0, a);
    return sign == "/" ? a / b : a % b;
  }
  if (sign == "==") return a == b;
  if (sign == "!=") return a != b;
  if (sign == "<") return a < b;
  if (sign == "<=") return a <= b;
  if (sign == ">") return a > b;
  if (sign == ">=") return a >= b;
  return sign == "&&" ? (a != 0 && b != 0) : (a != 0 || b != 0);
}

class Calculator {
 public:
  Calculator(std::string_view text, const NumberOf& variable) : text_(text), variable_(variable) {}

  Maybe whole() {
    const Maybe value = binary(1);
    skip();
    return at_ == text_.size() ? value : std::nullopt;
  }

 private:
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  Maybe binary(int least) {
    Maybe left = unary();
    while (left) {
      skip();
      const auto op = std::ranges::find_if(
          kOperators, [&](const Operator& o) { return text_.substr(at_).starts_with(o.sign); });
      if (op == kOperators.end() || op->binds < least) break;
      at_ += op->sign.size();
      const Maybe right = binary(op->sign == "**" ? op->binds : op->binds + 1);
      left = right ? apply(op->sign, *left, *right) : std::nullopt;
    }
    return left;
  }
  Maybe unary() {
    constexpr int kMaxDepth = 100;
    skip();
    if (at_ == text_.size() || ++depth_ > kMaxDepth) return std::nullopt;
    const Maybe value = primary();
    --depth_;
    return value;
  }
  Maybe primary() {
    const char c = text_[at_];
    if (c == '-' || c == '+' || c == '!') {
      ++at_;
      const Maybe value = unary();
      if (!value || c == '+') return value;
      return c == '!' ? Maybe(*value == 0) : apply("-", 0, *value);
    }
    if (c == '(') {
      ++at_;
      const Maybe value = binary(1);
      skip();
      if (at_ == text_.size() || text_[at_] != ')') return std::nullopt;
      ++at_;
      return value;
    }
    const std::size_t from = at_;
    while (at_ < text_.size() && is_name_character(text_[at_])) ++at_;
    const std::string_view word = text_.substr(from, at_ - from);
    if (word.empty()) return std::nullopt;
    if (std::isdigit(static_cast<unsigned char>(word[0])) == 0) return variable_(word);
    Number value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool octal = word.size() > 1 && word[0] == '0';  // 010 is 8 there, and 0x10 is 16: nobody means it
    return error == std::errc() && end == word.data() + word.size() && !octal ? Maybe(value) : std::nullopt;
  }

  std::string_view text_;
  const NumberOf& variable_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

// Of [a-z] or [!abc] at `at`: whether `c` is in it, and where it ends.
bool in_class(std::string_view pattern, std::size_t& at, char c) {
  const bool negated = pattern[at + 1] == '!' || pattern[at + 1] == '^';
  bool found = false;
  std::size_t i = at + (negated ? 2 : 1);
  for (const std::size_t first = i; i < pattern.size() && (pattern[i] != ']' || i == first); ++i) {
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      found = found || (pattern[i] <= c && c <= pattern[i + 2]);
      i += 2;
    } else {
      found = found || pattern[i] == c;
    }
  }
  at = i + 1;
  return found != negated;
}

}  // namespace

std::optional<std::int64_t> arithmetic(std::string_view text, const NumberOf& variable) {
  return Calculator(text, variable).whole();
}

bool matches(std::string_view pattern, std::string_view text) {
  constexpr std::size_t kLongest = 256;  // the time is their product
  if (pattern.size() > 2 * kLongest || text.size() > kLongest) return false;
  std::size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    std::size_t next = p + 1;
    bool same = false;
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = p++;
        from = t;
        continue;
      }
      if (pattern[p] == '[' && pattern.find(']', p + 2) != std::string_view::npos) {
        next = p;
        same = in_class(pattern, next, text[t]);
      } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
        same = pattern[p + 1] == text[t];
        next = p + 2;
      } else {
        same = pattern[p] == '?' || pattern[p] == text[t];
      }
    }
    if (same) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {  // the star takes one more
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace runcast::shell
