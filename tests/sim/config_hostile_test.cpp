// Texts that no careful person writes: each is refused with one sentence, quickly, without a crash.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sim/config.hpp"

using namespace runcast;

namespace {

// The refusal of a text: parsing, then finishing with nothing read.
std::string refusal(const std::string& text) {
  try {
    Document::parse(text, "f.yaml").finish();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

std::string load_refusal(const std::string& path) {
  try {
    Document::load(path);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

TEST_CASE("nothing is not a scenario") {
  for (const char* empty : {"", "\n\n", "# only a comment\n", "---\n", "~", "\xEF\xBB\xBF"}) {
    CAPTURE(empty);
    CHECK(refusal(empty) == "f.yaml: is empty");
  }
}

TEST_CASE("a list or a word is not a scenario") {
  CHECK(refusal("- a\n- b\n") == "f.yaml:1:1: must be a map of keys, not a list\n- a\n^");
  CHECK(refusal("hello") == "f.yaml:1:1: must be a map of keys, not a single value\nhello\n^");
}

TEST_CASE("a doubled key is told with the line of the first, each of them") {
  CHECK(refusal("a: 1\nb: {c: 1, c: 2}\na: 2\n") ==
        "f.yaml:2:11: key 'c' is already given in line 2\nb: {c: 1, c: 2}\n          ^\n"
        "f.yaml:3:1: key 'a' is already given in line 1\na: 2\n^");
  CHECK(first_line(refusal("a: 1\n\"a\": 2\n")) == "f.yaml:2:1: key 'a' is already given in line 1");
}

TEST_CASE("anchors, aliases, merge keys, tags and second documents are refused by name") {
  CHECK(first_line(refusal("a: &x 1\n")) ==
        "f.yaml:1:4: anchors (&name) are not supported, write the value out where it is used");
  CHECK(first_line(refusal("a: &x {b: 1}\nc: *x\n")) ==
        "f.yaml:1:4: anchors (&name) are not supported, write the value out where it is used");
  CHECK(first_line(refusal("a: {<<: {b: 1}}\n")) ==
        "f.yaml:1:5: merge keys (<<) are not supported, write the keys out");
  CHECK(first_line(refusal("a: !!str 1\n")) ==
        "f.yaml:1:4: tags (!name) are not supported, write the plain value");
  CHECK(first_line(refusal("a: !!map {}\n")) ==
        "f.yaml:1:4: tags (!name) are not supported, write the plain value");
  CHECK(first_line(refusal("a: 1\n---\nb: 2\n")) == "f.yaml:2:1: a second YAML document; a scenario is one");
  CHECK(first_line(refusal("? [a]\n: 1\n")) ==
        "f.yaml:1:3: a list or a map where a key is due, or a bracket that is not closed");
  CHECK(first_line(refusal("~: 1\n")) == "f.yaml:1:1: a key is missing before ':'");
}

TEST_CASE("an alias bomb never grows") {
  std::string bomb = "a: &a [x, x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [*" + before + ", *" + before + ", *" + before + "]\n";
  }
  CHECK(first_line(refusal(bomb)) ==
        "f.yaml:1:4: anchors (&name) are not supported, write the value out where it is used");
}

TEST_CASE("10,000 levels of any bracket, dash, question mark or indent are refused at 32, in no time") {
  const auto start = std::chrono::steady_clock::now();
  // An open bracket may be the start of a key, which is refused first.
  const std::string open = "a list or a map where a key is due, or a bracket that is not closed";
  CHECK(first_line(refusal(repeated("[", 10'000))) == "f.yaml:1:1: " + open);
  CHECK(first_line(refusal(repeated("[\n", 10'000))) == "f.yaml:1:1: " + open);
  CHECK(first_line(refusal(repeated("{a: ", 10'000))) == "f.yaml:1:1: " + open);
  CHECK(refusal("a:\n  " + repeated("[", 10'000) + repeated("]", 10'000))
            .find("nested deeper than 32 levels") != std::string::npos);
  CHECK(refusal(repeated("- ", 10'000) + "x").find("nested deeper than 32 levels") != std::string::npos);
  CHECK(!refusal(repeated("? ", 10'000)).empty());
  CHECK(!refusal("a: " + repeated("!", 10'000)).empty());
  std::string stairs;
  for (std::size_t i = 0; i < 1'000; ++i) stairs += std::string(i, ' ') + "a:\n";
  CHECK(refusal(stairs).find("nested deeper than 32 levels") != std::string::npos);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  CHECK(took.count() < 10);  // a second with sanitizers; quadratic work would take minutes
}

TEST_CASE("32 levels are read, 33 are not") {
  const auto nested = [](int depth) { return repeated("{a: ", depth) + "1" + repeated("}", depth); };
  CHECK(refusal(nested(32)).find("unknown key 'a'") != std::string::npos);
  CHECK(refusal(nested(33)).find("nested deeper than 32 levels") != std::string::npos);
}

TEST_CASE("more than 1 MiB, or more than 100,000 values, is refused") {
  CHECK(refusal(std::string(2 << 20, ' ')) == "f.yaml: is larger than 1 MiB");
  CHECK(refusal("a: [" + repeated("1,", 100'001) + "]").find("more than 100000 values") != std::string::npos);
}

TEST_CASE("bytes that are no text are refused") {
  CHECK(refusal("a: \xff\n") == "f.yaml:1: is not UTF-8 text (byte 0xff)");
  CHECK(refusal("a: 1\nb: \xC0\x80\n") == "f.yaml:2: is not UTF-8 text (byte 0xc0)");    // overlong NUL
  CHECK(refusal("a: \xED\xA0\x80\n") == "f.yaml:1: is not UTF-8 text (byte 0xed)");      // a surrogate
  CHECK(refusal("a: \xF4\x90\x80\x80\n") == "f.yaml:1: is not UTF-8 text (byte 0xf4)");  // past U+10FFFF
  CHECK(refusal("a: \xE2\x82") == "f.yaml:1: is not UTF-8 text (byte 0xe2)");            // cut short
  CHECK(refusal(std::string("\xFF\xFE"
                            "a\0:\0",
                            6)) == "f.yaml:1: is not UTF-8 text (byte 0xff)");  // UTF-16
  CHECK(refusal(std::string("a: x\0y\n", 7)) ==
        "f.yaml:1:5: control character 0x00 in the text\na: x y\n    ^");
  // also where they are written as escapes, which would steer the terminal that shows the name
  CHECK(refusal("a: \"x\\e[2J\"\n").starts_with("f.yaml:1:4: control character 0x1b in the text"));
  CHECK(refusal("\"k\\0\": 1\n").starts_with("f.yaml:1:1: control character 0x00 in the text"));
  CHECK(refusal("a: \"\\x9b\"\n").starts_with("f.yaml:1:4: control character 0x9b in the text"));
  CHECK(refusal("a: \x1b[31m\n") == "f.yaml:1:4: control character 0x1b in the text\na:  [31m\n   ^");
}

TEST_CASE("a byte order mark, CR LF and CR are line ends like any other") {
  for (const char* text : {"\xEF\xBB\xBF"
                           "a: 1\r\nb: x\r\n",
                           "a: 1\rb: x\r", "a: 1\nb: x"}) {
    Document d = Document::parse(text, "f.yaml");
    CHECK(d.root().count("a") == 1);
    CHECK(d.root().text("b") == "x");
    CHECK(d.root().location("b") == Location{"f.yaml", 2, 4});
    CHECK_NOTHROW(d.finish());
  }
}

TEST_CASE("a tab in the indentation is told as such, a tab elsewhere is a blank") {
  CHECK(refusal("a:\n\tb: 1\n") ==
        "f.yaml:2:1: a tab in the indentation; YAML allows only spaces there\n b: 1\n^");
  Document d = Document::parse("a:\t1\t# note\n", "f.yaml");
  CHECK(d.root().count("a") == 1);
}

TEST_CASE("what is not YAML is told with place and line") {
  CHECK(refusal("a: [1, 2\nb: 3\n").starts_with("f.yaml:"));
  CHECK(refusal("a: [1, 2\nb: 3\n").find(": not YAML: ") != std::string::npos);
  CHECK(refusal("a: b: c\n") == "f.yaml:1:5: not YAML: illegal map value\na: b: c\n    ^");
  // yaml-cpp 0.7 alone would read both of these.
  CHECK(refusal("a: \"open\nb: 1\n") == "f.yaml:1:4: not YAML: a quote that is not closed\na: \"open\n   ^");
  CHECK(refusal("a: 'it''s\n") == "f.yaml:1:4: not YAML: a quote that is not closed\na: 'it''s\n   ^");
  CHECK(refusal("a: \"\\\"\"\n") == "f.yaml:1:1: unknown key 'a'\na: \"\\\"\"\n^");
  CHECK(refusal("a: @x\n").find("not YAML: ") != std::string::npos);
}

TEST_CASE("a file that cannot be read says why") {
  const auto folder = std::filesystem::temp_directory_path();
  CHECK(load_refusal(folder.string()) == folder.string() + ": cannot be read: is a directory");
  CHECK(load_refusal("/nowhere/x.yaml") == "/nowhere/x.yaml: cannot be read: no such file");
  CHECK(load_refusal("") == ": cannot be read: no such file");
  const std::string file = (folder / "runcast-config-test.yaml").string();
  std::ofstream(file) << "a: [\n";
  CHECK(load_refusal(file).starts_with(file + ":"));
  std::ofstream(file) << "a: 1\n";
  CHECK(Document::load(file).root().count("a") == 1);
  CHECK(Document::load(file).name() == file);
  std::filesystem::remove(file);
}

TEST_CASE("errors past the hundredth are counted, not printed") {
  std::string text;
  for (int i = 0; i < 150; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const std::string told = refusal(text);
  CHECK(told.ends_with("\n... and 50 more errors"));
  CHECK(told.size() < 10'000);
}

TEST_CASE("random damage to a scenario is refused or read, never a crash") {
  const std::string sound =
      "name: x\nlayout: {tensor: 8, order: [a, \"b\", 'c']}\nlist:\n  - a: 1\n    b: |\n      t\n  - >-\n    "
      "q\n? k\n: v\n";
  std::uint64_t state = 1;
  const auto next = [&state] { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; };
  const std::string pieces = "[]{}:,-?&*!|>'\"%@`#\n\t ~<a1\\";
  for (int round = 0; round < 3'000; ++round) {
    std::string text = sound;
    for (std::uint64_t k = next() % 6 + 1; k > 0; --k) {
      const std::size_t at = next() % text.size();
      if (next() % 3 == 0)
        text.erase(at, next() % 4);
      else
        text.insert(at, 1, pieces[next() % pieces.size()]);
      if (text.empty()) text = "a";
    }
    CAPTURE(text);
    try {
      Document::parse(text, "f.yaml").finish();
    } catch (const ConfigError& e) {
      REQUIRE(std::string(e.what()).starts_with("f.yaml"));
    }
  }
}
