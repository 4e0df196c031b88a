// Located configuration: a YAML text as sections that know their file, line and column. The only user of
// yaml-cpp is yaml_tree.cpp.
//
// Reading is the schema: each key is read once, by the struct that it fills; a key that nobody read, or that
// stands twice, is refused with the nearest legal name. Quantities carry their unit in the text ("400 Gbps",
// "80 GB", "5 min"); counts take an SI suffix and an optional noun ("15.6T", "252M tokens"). Every read is
// echoed into resolved(), defaults filled in, as text that can be read again.
//
// Errors are collected, not thrown one by one: a failed read records the error and returns the default (or a
// harmless value) so that all errors of a file are told at once by Document::finish().
// Error lines:  file:line:column: sentence      then the source line and a caret.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/spelling.hpp"  // IWYU pragma: export
#include "sim/units.hpp"

namespace runcast {

struct Location {  // line and column are 1-based; 0 means "the whole file"
  std::string file;
  int line = 0;
  int column = 0;
  friend bool operator==(const Location&, const Location&) = default;
};

enum class NodeKind { missing, scalar, list, map };  // an explicit null counts as missing

// A unit's spelling and its size in the base unit of its dimension.
struct Unit {
  std::string_view name;
  double factor;
};

// A rate as it was written: "3.0e-3 /node-day" is {3.0e-3 / 86400 s, "node"}; "2 /day" has per = "".
struct RatePer {
  EventRate rate;
  std::string per;
};

// What a reader asked of one key, for holding a description of the keys against those that read them.
struct KeyReading {
  std::string path;                // indices left out: "failures.classes[].rate"
  std::string form;                // the reader: "text", "choice", "count", ...; "asked": is it there?
  std::vector<std::string> words;  // legal values of a choice, the word beside a count or a time, units
  std::string fallback;            // what a missing value stood for, as JSON; "" when it is not known
};

namespace detail {
struct DocumentState;
}

// A map of the document. Cheap to copy; valid as long as its Document lives.
// `key` may not contain dots. Each reader without a default is for a required key.
class Section {
 public:
  NodeKind kind(std::string_view key) const;  // does not count as reading
  bool has(std::string_view key) const { return kind(key) != NodeKind::missing; }
  std::vector<std::string> keys() const;  // in file order; does not count as reading

  std::string text(std::string_view key);
  std::string text(std::string_view key, std::string_view fallback);
  // One of `legal`; anything else is an error that lists them and names the nearest.
  std::string choice(std::string_view key, std::span<const std::string_view> legal);
  std::string choice(std::string_view key, std::span<const std::string_view> legal,
                     std::string_view fallback);
  bool flag(std::string_view key, bool fallback);  // true | false only
  double number(std::string_view key);             // plain, finite; a percentage is written 0.05
  double number(std::string_view key, double fallback);
  // "8", "15.6T", "252M tokens", "1_000"; k K M B G T P (B is 1e9), Ki Mi Gi Ti; never octal, never negative.
  std::int64_t count(std::string_view key);
  std::int64_t count(std::string_view key, std::int64_t fallback);
  // A count, or the word (missing means the word too): `pipeline: auto`.
  std::optional<std::int64_t> count_or_word(std::string_view key, std::string_view word);

  // Quantities are finite and not negative. A week is 7 days, a month 30, a year 365.
  Bytes bytes(std::string_view key);  // B kB MB GB TB PB, KiB MiB GiB TiB
  Bytes bytes(std::string_view key, Bytes fallback);
  Bandwidth bandwidth(std::string_view key);  // B/s kB/s .. TB/s, KiB/s .. TiB/s, bps kbps Mbps Gbps Tbps
  Bandwidth bandwidth(std::string_view key, Bandwidth fallback);
  Seconds seconds(std::string_view key);  // ns us ms s min h d day days week year
  Seconds seconds(std::string_view key, Seconds fallback);
  std::optional<Seconds> seconds_or_word(std::string_view key, std::string_view word);
  FlopRate flop_rate(std::string_view key);  // GFLOP/s TFLOP/s PFLOP/s (also TFLOPS)
  FlopRate flop_rate(std::string_view key, FlopRate fallback);
  Watts watts(std::string_view key);  // W kW MW
  Watts watts(std::string_view key, Watts fallback);
  Dollars dollars(std::string_view key);  // USD (also "kUSD", "MUSD")
  Dollars dollars(std::string_view key, Dollars fallback);
  RatePer event_rate(std::string_view key);  // "X /hour|day|week|month|year", "X /node-day", "X /gpu-hour"
  RatePer event_rate(std::string_view key, RatePer fallback);
  // Any other dimension: `units` lists its spellings, the first is the canonical one used in examples.
  double quantity(std::string_view key, std::span<const Unit> units);
  double quantity(std::string_view key, std::span<const Unit> units, double fallback);

  Section section(std::string_view key);  // required map
  std::optional<Section> optional_section(std::string_view key);
  Section section_or_empty(std::string_view key);          // missing: an empty map, so that defaults echo
  std::vector<Section> list(std::string_view key);         // list of maps; missing is empty
  std::vector<std::string> texts(std::string_view key);    // list of scalars; missing is empty
  std::vector<std::int64_t> counts(std::string_view key);  // list of counts; missing is empty

  // Marks the whole subtree of `key` as read without looking into it (notes, sources).
  void skip(std::string_view key);

  // Records an error at a key's value (at the key's place in its map when the value is missing), or at the
  // section itself. The sentence has no trailing full stop.
  void fail(std::string_view key, const std::string& sentence);
  void fail(const std::string& sentence);
  Location location(std::string_view key) const;
  Location location() const;
  bool ok() const;  // no error so far in the whole document: rules across fields may be checked
  const std::string& path() const;  // "layout", "failures.classes[2]"; "" for the root

 private:
  friend class Document;
  friend struct detail::DocumentState;
  Section(detail::DocumentState* state, std::size_t node) : state_(state), node_(node) {}
  std::vector<std::size_t> items(std::string_view key, const char* example);
  detail::DocumentState* state_;
  std::size_t node_;
};

class Document {
 public:
  // Parses one YAML document whose root is a map. Throws ConfigError for text that is not YAML, is empty, is
  // not a map, has a doubled key, is not UTF-8, or is past the limits (1 MiB, depth 32, 100,000 nodes,
  // no aliases). `name` is what errors print as the file.
  static Document parse(std::string text, std::string name);
  // Reads a file, then parse(). Throws ConfigError that says why a file cannot be read ("is a directory").
  static Document load(const std::string& path);

  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

  // "layout.tensor=4": replaces or adds one value before it is read; the right side is YAML ("[a, b]" works,
  // "failures.classes[0].rate=..." addresses a list). Errors about it are located at `--set layout.tensor=4`.
  // Throws ConfigError for text that is no assignment; a path through a value, or past the end of a list, is
  // collected for finish(). An index one past the end appends; nothing on the right side takes a value away.
  void set(std::string_view assignment);

  Section root();
  // Call it after all reading: a required key that is missing may turn out to be one that is misspelt.
  // Reports every key that was not read, then throws one ConfigError that holds all errors in file order.
  void finish();
  bool ok() const;
  const std::string& name() const;
  void record_readings();  // from now on; nothing is recorded without it
  const std::vector<KeyReading>& readings() const;
  // The document as it was understood: each key that was read, in reading order, defaults filled in,
  // as values that parse() reads back to the same document.
  nlohmann::ordered_json resolved() const;

 private:
  explicit Document(std::unique_ptr<detail::DocumentState>);
  std::unique_ptr<detail::DocumentState> state_;
};

// Parses one quantity of a dimension outside a document (the command line). Throws ConfigError that starts
// with `where`.
Bytes parse_bytes(std::string_view text, std::string_view where);
Seconds parse_seconds(std::string_view text, std::string_view where);
Dollars parse_dollars(std::string_view text, std::string_view where);
std::int64_t parse_count(std::string_view text, std::string_view where);

}  // namespace runcast
