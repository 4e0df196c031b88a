// Reading a scenario: values, defaults, errors word for word, --set, and the resolved echo.
#include "sim/config.hpp"

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

using namespace runcast;

namespace {

Document doc(const std::string& text) { return Document::parse(text, "scenario.yaml"); }

// The errors of reading `text` so.
std::string errors(const std::string& text, const std::function<void(Section)>& read,
                   const std::vector<std::string>& sets = {}) {
  try {
    Document d = doc(text);
    for (const std::string& s : sets) d.set(s);
    read(d.root());
    d.finish();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

constexpr std::array<std::string_view, 3> kSchedules{"gpipe", "1f1b", "zb_h1"};

// A reader with most kinds of values.
void read_layout(Section root) {
  root.text("name", "");
  Section layout = root.section("layout");
  layout.count("tensor");
  layout.count("pipeline", 1);
  layout.count_or_word("data", "auto");
  layout.flag("sequence_parallel", true);
}

nlohmann::ordered_json resolve_everything(const std::string& text,
                                          const std::vector<std::string>& sets = {}) {
  Document d = doc(text);
  for (const std::string& s : sets) d.set(s);
  Section root = d.root();
  root.text("name", "");
  root.choice("schedule", kSchedules, "1f1b");
  root.number("efficiency", 0.1);
  root.count("tokens", 15'600'000'000'000);
  root.count_or_word("data", "auto");
  root.seconds_or_word("initialize", "auto");
  root.flag("flash", true);
  Section hardware = root.section_or_empty("hardware");
  hardware.bytes("memory", Bytes(80e9));
  hardware.bandwidth("link", Bandwidth(50e9));
  hardware.seconds("latency", Seconds(7e-6));
  hardware.flop_rate("peak", FlopRate(989.4e12));
  hardware.watts("power", Watts(700));
  hardware.dollars("price", Dollars(3.5));
  root.section_or_empty("nothing");
  for (Section& c : root.list("classes")) {
    c.text("name");
    c.event_rate("rate", {EventRate(0.003 / 86400), "node"});
  }
  root.texts("order");
  root.counts("stages");
  root.skip("notes");
  d.finish();
  return d.resolved();
}

}  // namespace

TEST_CASE("a misspelt key is told its place and the nearest legal name, and is not also missing") {
  CHECK(errors("name: x\nlayout:\n  tensr: 8\n", read_layout) ==
        "scenario.yaml:3:3: unknown key 'layout.tensr', did you mean 'tensor'?\n"
        "  tensr: 8\n"
        "  ^");
}

TEST_CASE("a key far from every legal name lists the legal names") {
  CHECK(errors("layout: {tensor: 8, colour: red}", read_layout) ==
        "scenario.yaml:1:21: unknown key 'layout.colour'; legal: tensor pipeline data sequence_parallel\n"
        "layout: {tensor: 8, colour: red}\n"
        "                    ^");
}

TEST_CASE("a missing key is told at its section, a missing section at the whole file") {
  CHECK(errors("name: x\nlayout:\n  pipeline: 2\n", read_layout) ==
        "scenario.yaml:2:1: missing key 'layout.tensor'\nlayout:\n^");
  CHECK(errors("name: x\n", read_layout) == "scenario.yaml: missing key 'layout'");  // and not layout.tensor
  CHECK(errors("layout:\n", read_layout) == "scenario.yaml:1:1: missing key 'layout'\nlayout:\n^");
}

TEST_CASE("all errors of a file are told at once, in file order whatever the order of reading") {
  const std::string text =
      "zeta: 1\n"
      "link: 400\n"
      "layout:\n"
      "  tensor: 8.5\n"
      "  sequence_parallel: yes\n"
      "  data: atuo\n";
  const auto read = [](Section root) {
    read_layout(root);
    root.bandwidth("link");
  };
  CHECK(errors(text, read) ==
        "scenario.yaml:1:1: unknown key 'zeta'; legal: name layout link\nzeta: 1\n^\n"
        "scenario.yaml:2:7: 400 has no unit, write for example '400 Gbps'\nlink: 400\n      ^\n"
        "scenario.yaml:4:11: 8.5 is not a whole number\n  tensor: 8.5\n          ^\n"
        "scenario.yaml:5:22: 'yes' is neither true nor false\n  sequence_parallel: yes\n                     "
        "^\n"
        "scenario.yaml:6:9: 'atuo' is not a count, write for example 8 or 15.6T, or 'auto'\n  data: atuo\n   "
        "     ^");
}

TEST_CASE("a key that was only asked for has no effect") {
  CHECK(errors("spares: 3", [](Section root) { (void)root.has("spares"); }) ==
        "scenario.yaml:1:1: key 'spares' has no effect here\nspares: 3\n^");
}

TEST_CASE(
    "an unknown choice lists the legal ones and names the nearest, and doubts no other key of its map") {
  const auto read = [](Section root) { root.choice("schedule", kSchedules); };
  CHECK(errors("schedule: gpip\nvirtual_stages: 8", read) ==
        "scenario.yaml:1:11: unknown value 'gpip' of 'schedule', did you mean 'gpipe'? legal: gpipe 1f1b "
        "zb_h1\n"
        "schedule: gpip\n          ^");
  CHECK(errors("schedule: best", read) ==
        "scenario.yaml:1:11: unknown value 'best' of 'schedule'; legal: gpipe 1f1b zb_h1\n"
        "schedule: best\n          ^");
}

TEST_CASE("a value of the wrong kind is told which kind is right") {
  CHECK(errors("layout: 5", read_layout) ==
        "scenario.yaml:1:9: 'layout' must be a map, not a single value\nlayout: 5\n        ^");
  CHECK(errors("layout: {tensor: [1]}", read_layout) ==
        "scenario.yaml:1:10: 'layout.tensor' must be a single value, not a list\nlayout: {tensor: [1]}\n     "
        "    ^");
  CHECK(errors("order: a", [](Section root) { root.texts("order"); }) ==
        "scenario.yaml:1:8: 'order' must be a list, for example [a, b], not a single value\norder: a\n       "
        "^");
  CHECK(errors("c: [{}, 5]", [](Section root) { root.list("c"); }) ==
        "scenario.yaml:1:9: 'c[1]' must be a map, not a single value\nc: [{}, 5]\n        ^");
  CHECK(errors("c: [1, [2]]", [](Section root) { root.counts("c"); }) ==
        "scenario.yaml:1:8: an item of 'c' must be a single value, not a list\nc: [1, [2]]\n       ^");
}

TEST_CASE("columns and carets count characters, not bytes, and a long line is cut around the caret") {
  CHECK(errors("{name: h\xC3\xA9llo, layout: {tensor: x}}", read_layout) ==
        "scenario.yaml:1:32: 'x' is not a count, write for example 8 or 15.6T\n"
        "{name: h\xC3\xA9llo, layout: {tensor: x}}\n                               ^");
  const std::string told = errors("{name: " + std::string(500, 'n') + ", layout: {tensor: x}}", read_layout);
  CHECK(told ==
        "scenario.yaml:1:527: 'x' is not a count, write for example 8 or 15.6T\n"
        "..." +
            std::string(41, 'n') + ", layout: {tensor: x}}\n" + std::string(63, ' ') + "^");
}

TEST_CASE("rules of the caller are told where the caller says") {
  const auto read = [](Section root) {
    Section layout = root.section("layout");
    CHECK(layout.count("tensor") == 3);
    CHECK(layout.path() == "layout");
    CHECK(layout.location("tensor") == Location{"scenario.yaml", 2, 11});
    CHECK(layout.location() == Location{"scenario.yaml", 1, 1});
    CHECK(root.ok());
    layout.fail("tensor", "128 attention heads are not divisible by tensor 3");
    CHECK(!root.ok());
    layout.fail("absent", "told at the section");
    layout.fail("this too");
  };
  CHECK(errors("layout:\n  tensor: 3\n", read) ==
        "scenario.yaml:1:1: told at the section\nlayout:\n^\n"
        "scenario.yaml:1:1: this too\nlayout:\n^\n"
        "scenario.yaml:2:11: 128 attention heads are not divisible by tensor 3\n  tensor: 3\n          ^");
}

TEST_CASE("a failed read gives the default, or a one that divides safely") {
  Document d = doc("tokens: many\nlink: 3\nx: [1]\n");
  Section root = d.root();
  CHECK(root.count("tokens", 7) == 7);
  CHECK(root.bandwidth("link").value == 1);
  CHECK(root.number("x") == 1);
  CHECK(root.count("absent") == 1);
  CHECK(root.text("also_absent") == "");
  CHECK(!d.ok());
  CHECK_THROWS_AS(d.finish(), ConfigError);
}

TEST_CASE("null counts as missing, quoted text is text, and quoted quantities are quantities") {
  Document d = doc("a: ~\nb:\nc: \"null\"\nd: '8'\ne: \"5 min\"\nf: ''\n");
  Section root = d.root();
  CHECK(root.count("a", 3) == 3);
  CHECK(!root.has("b"));
  CHECK(root.text("b", "x") == "x");
  CHECK(root.text("c") == "null");
  CHECK(root.count("d") == 8);
  CHECK(root.seconds("e").value == 300);
  CHECK(root.text("f") == "");
  CHECK(root.keys() == std::vector<std::string>{"a", "b", "c", "d", "e", "f"});
  CHECK_NOTHROW(d.finish());
}

TEST_CASE("kinds, lists and optional sections") {
  Document d = doc("m: {x: 1}\nl: [{y: 2}, {y: 3}]\ns: 5\nt: [a, 'b c']\nn: [1k, 2]\n");
  Section root = d.root();
  CHECK(root.kind("m") == NodeKind::map);
  CHECK(root.kind("l") == NodeKind::list);
  CHECK(root.kind("s") == NodeKind::scalar);
  CHECK(root.kind("none") == NodeKind::missing);
  CHECK(!root.optional_section("none"));
  CHECK(root.optional_section("m")->count("x") == 1);
  const auto items = root.list("l");
  REQUIRE(items.size() == 2);
  CHECK(items[1].path() == "l[1]");
  CHECK(Section(items[0]).count("y") + Section(items[1]).count("y") == 5);
  CHECK(root.count("s") == 5);
  CHECK(root.texts("t") == std::vector<std::string>{"a", "b c"});
  CHECK(root.counts("n") == std::vector<std::int64_t>{1000, 2});
  CHECK(root.list("none").empty());
  CHECK_NOTHROW(d.finish());
}

TEST_CASE("quantities of another dimension bring their own units") {
  constexpr std::array units{Unit{"kWh", 3.6e6}, Unit{"J", 1}};
  const auto read = [&](Section root) { root.quantity("energy", units); };
  CHECK(errors("energy: 3", read) ==
        "scenario.yaml:1:9: 3 has no unit, write for example '3 kWh'\nenergy: 3\n        ^");
  Document d = doc("energy: 2 kWh");
  CHECK(d.root().quantity("energy", units) == 7.2e6);
  CHECK(d.root().quantity("other", units, 3.6e6) == 3.6e6);
  CHECK(d.resolved().dump() == R"({"energy":"2 kWh","other":"1 kWh"})");
}

TEST_CASE("a skipped subtree is not looked into, and is echoed") {
  Document d = doc("notes: [x, {y: 010, z: ~}]\n");
  d.root().skip("notes");
  d.root().skip("absent");
  CHECK_NOTHROW(d.finish());
  CHECK(d.resolved().dump() == R"({"notes":["x",{"y":"010","z":null}]})");
}

// ---- --set ----------------------------------------------------------------------------------------------

TEST_CASE("--set replaces, adds, makes missing maps, and addresses lists") {
  Document d = doc("layout: {tensor: 8}\nclasses: [{name: a}]\n");
  for (const char* s : {"layout.tensor=4", "cluster.node.memory=80 GB", "classes[0].name=b",
                        "classes[1].name=c", "order=[x, y]", "name=a = b", "layout.tensor=2"})
    d.set(s);
  Section root = d.root();
  CHECK(root.section("layout").count("tensor") == 2);  // the last one holds
  CHECK(root.section("cluster").section("node").bytes("memory").value == 80e9);
  auto classes = root.list("classes");
  REQUIRE(classes.size() == 2);
  CHECK(classes[0].text("name") == "b");
  CHECK(classes[1].text("name") == "c");
  CHECK(root.texts("order") == std::vector<std::string>{"x", "y"});
  CHECK(root.text("name") == "a = b");
  CHECK_NOTHROW(d.finish());
}

TEST_CASE("--set to nothing takes a value away") {
  Document d = doc("layout: {tensor: 8}\n");
  d.set("layout.tensor=");
  CHECK(d.root().section("layout").count("tensor", 1) == 1);
}

TEST_CASE("errors of --set are located at the assignment, after those of the file") {
  CHECK(errors("zeta: 1\nlayout: {tensor: 8}", read_layout, {"layout.tensor=fast", "layout.pipelin=2"}) ==
        "scenario.yaml:1:1: unknown key 'zeta'; legal: name layout\nzeta: 1\n^\n"
        "--set layout.tensor=fast: 'fast' is not a count, write for example 8 or 15.6T\n"
        "--set layout.pipelin=2: unknown key 'layout.pipelin', did you mean 'pipeline'?");
}

TEST_CASE("--set through a scalar, past a list, or without '=' is refused") {
  const auto nothing = [](Section root) { root.skip("a"), root.skip("l"); };
  CHECK(errors("a: 5", nothing, {"a.b.c=1"}) == "--set a.b.c=1: 'a' is the value '5', not a map");
  CHECK(errors("a: {b: 5}", nothing, {"a[0]=1"}) == "--set a[0]=1: 'a' is a map, not a list");
  CHECK(errors("l: [1]", nothing, {"l[2]=1"}) == "--set l[2]=1: 'l' has 1 items, there is no [2]");
  CHECK(errors("l: [1]", nothing, {"l.x=1"}) == "--set l.x=1: 'l' is a list, not a map");
  const std::string form = ": is not an assignment, write for example --set layout.tensor=4";
  for (const char* bad : {"a", "=4", ".a=1", "a.=1", "a..b=1", "a[x]=1", "a[=1", "a[]=1", "[0]=1", "a[0]b=1",
                          "a[99999999]=1", ""})
    CHECK(errors("a: 5", nothing, {bad}) == "--set " + std::string(bad) + form);
  CHECK(errors("a: 5", nothing, {"a=[1,"}) ==
        "--set a=[1,: a list or a map where a key is due, or a bracket that is not closed");
  CHECK(errors("a: 5", nothing, {"a={b: 1, b: 2}"}) == "--set a={b: 1, b: 2}: key 'b' is given twice");
  CHECK(errors("a: 5", nothing, {"a=*x"}).starts_with("--set a=*x: "));
}

// ---- the resolved echo ----------------------------------------------------------------------------------

TEST_CASE("the resolved document holds what was read in reading order, defaults filled in") {
  Document d = doc("layout: {pipeline: 16, tensor: 1_0}\n");
  read_layout(d.root());
  d.finish();
  CHECK(d.resolved().dump() ==
        R"({"layout":{"tensor":10,"pipeline":16,"data":"auto","sequence_parallel":true}})");
}

TEST_CASE("defaults are echoed with units, and what is absent and without default stays absent") {
  CHECK(
      resolve_everything("{}").dump() ==
      R"({"schedule":"1f1b","efficiency":0.1,"tokens":15600000000000,"data":"auto","initialize":"auto",)"
      R"("flash":true,"hardware":{"memory":"80 GB","link":"50 GB/s","latency":"7 us","peak":"989.4 TFLOP/s",)"
      R"("power":"700 W","price":"3.5 USD"}})");
}

TEST_CASE("reading the resolved document again gives the same resolved document") {
  const std::string all =
      "name: 'yes: \"no\"'\nschedule: zb_h1\nefficiency: 1e-3\ntokens: 15.6T\ndata: 0128\ninitialize: 1.50 "
      "min\n"
      "flash: false\nhardware: {memory: 79.3 GiB, link: 400 Gbps, latency: 1_0 ns, peak: 1979 TFLOPS}\n"
      "nothing: {}\nclasses: [{name: a, rate: 3.0e-3 /node-day}, {name: \"b\xC3\xA9\\t\\\\\"}]\n"
      "order: [true, '~', 8]\nstages: [1k, 2]\nnotes: {a: \"1\", b: [x, ~], \"~\": q}\n";
  for (const std::string& text : {std::string("{}"), all, std::string("tokens: 1")}) {
    const auto first = resolve_everything(text);
    for (const int indent : {-1, 2}) {
      const auto second = resolve_everything(first.dump(indent));
      CHECK(second == first);
      CHECK(second.dump() == first.dump());
    }
  }
  const auto set = resolve_everything(all, {"hardware.link=200 Gbps", "classes[0].name=c"});
  CHECK(set["hardware"]["link"] == "200 Gbps");
  CHECK(resolve_everything(set.dump()) == set);
}

// ---- did you mean ---------------------------------------------------------------------------------------

TEST_CASE("a near name is at most a third of its letters away; a swap is one edit") {
  const std::vector<std::string> names{"tensor", "pipeline", "data", "zb_h1"};
  CHECK(nearest_name("tensr", names) == "tensor");
  CHECK(nearest_name("tesnor", names) == "tensor");
  CHECK(nearest_name("pipelines", names) == "pipeline");
  CHECK(nearest_name("date", names) == "data");
  CHECK(nearest_name("zb-h1", names) == "zb_h1");
  CHECK(nearest_name("DATA", names) == "data");  // capitals count for nothing
  CHECK(nearest_name("colour", names) == "");
  CHECK(nearest_name("", names) == "");
  CHECK(nearest_name(std::string(1'000'000, 'x'), names) == "");
}
