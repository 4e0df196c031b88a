// Dumps of NCCL's topology, made by hand in the shape of real ones (NVIDIA/nccl issues 1182, 1505; aliyun/SimAI 128).
#include "scenarios/interchange/nccl_topology.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "scenarios/interchange/xml.hpp"
#include "scenarios/library_entries.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {

namespace {

ImportedNode import_dump(const std::string& file, const std::string& gpu = "") {
  std::ifstream in(std::string(RUNCAST_SOURCE_DIR) + "/tests/scenarios/fixtures/" + file);
  REQUIRE(in);
  return import_nccl_topology({std::istreambuf_iterator<char>(in), {}}, "ours", file, gpu, Library());
}

std::string problem_of(const std::string& xml) {
  return error_of([&] { (void)import_nccl_topology(xml, "ours", "a.xml", "", Library()); });
}

// A scenario whose node is the imported text.
Scenario with_node(const std::string& yaml) {
  std::string text =
      "model: llama3-8b\ntraining: {sequence_length: 8192, global_batch: 64}\ncluster:\n  nodes: 2\n  "
      "node:\n";
  std::string line;
  for (const char c : yaml) {
    line += c;
    if (c == '\n') text += "    " + line, line.clear();
  }
  Document document = Document::parse(text, "scenario");
  return read_scenario(document, Library());
}

}  // namespace

TEST_CASE("a dump of an HGX H100 is the library's: 8 GPUs, 18 NVLinks to a switch, 8 adapters beside GPUs") {
  const ImportedNode node = import_dump("nccl-hgx-h100.xml");
  CHECK(node.gpu == "h100");  // device 0x2330
  CHECK(node.gpus == 8);
  CHECK(node.nvlinks == 18);  // 4 + 5 + 5 + 4 over four switches
  CHECK(node.kind == "nvswitch");
  CHECK(node.nics == 8);  // not the storage adapter on the socket's root, not the management port
  CHECK(node.nic_gbps == doctest::Approx(400).epsilon(1e-9));
  CHECK(node.pcie == doctest::Approx(64e9).epsilon(1e-9));  // 32 GT/s x 16 lanes / 8
  CHECK(node.same_as == "hgx-h100");
  REQUIRE(node.notes.size() == 3);
  CHECK(node.notes[1] == "mlx5_8 of 400 Gbps is left out: it is not behind a PCIe switch with a GPU");
  CHECK(node.notes[2] == "eno1 of 10 Gbps is left out: it is not behind a PCIe switch with a GPU");
  const Scenario scenario = with_node(node.yaml);
  CHECK(scenario.node.scale_up.bandwidth.value == doctest::Approx(450e9).epsilon(1e-9));  // 18 x 25 GB/s
  CHECK(scenario.node.in_switch_reduction);
  CHECK(scenario.gpus() == 16);
}

TEST_CASE("a dump of a DGX A100 is the library's; ports of storage adapters are left out") {
  const ImportedNode node = import_dump("nccl-dgx-a100.xml");
  CHECK(node.gpu == "a100-80");
  CHECK(node.nvlinks == 12);  // 2 to each of six switches
  CHECK(node.nics == 8);
  CHECK(node.nic_gbps == doctest::Approx(200).epsilon(1e-9));
  CHECK(node.same_as == "dgx-a100-80");
  CHECK(with_node(node.yaml).node.scale_up.bandwidth.value == doctest::Approx(300e9).epsilon(1e-9));
}

TEST_CASE("a dump without NVLinks is a PCIe server; without a switch every adapter counts") {
  const ImportedNode node = import_dump("nccl-pcie-a10.xml");
  CHECK(node.gpu == "a10");
  CHECK(node.kind == "pcie");
  CHECK(node.nics == 1);
  CHECK(node.same_as == "pcie-a10-8");
  CHECK(with_node(node.yaml).node.scale_up.bandwidth.value == doctest::Approx(32e9).epsilon(1e-9));
}

TEST_CASE("the GPU may be named, and is guessed by capability and NVLinks where the device is not known") {
  CHECK(import_dump("nccl-hgx-h100.xml", "h200").gpu == "h200");
  const std::string one =
      "<system version=\"1\"><cpu numaid=\"0\"><pci busid=\"1\" device=\"0xffff\">"
      "<gpu dev=\"0\" sm=\"SM\"/></pci></cpu></system>";
  const auto with = [&](const std::string& sm) {
    std::string text = one;
    return text.replace(text.find("SM"), 2, sm);
  };
  const ImportedNode node = import_nccl_topology(with("80"), "ours", "a.xml", "", Library());
  CHECK(node.gpu == "a100-pcie-80");
  CHECK(node.nics == 1);  // a run on one node opens no adapter: told, and written as the library's
  CHECK_NOTHROW((void)with_node(node.yaml));
  CHECK(problem_of(with("75")) ==
        "a.xml: the GPU of PCI device '0xffff' and compute capability 75 is not known; name the library's "
        "with --gpu");
}

TEST_CASE("two GPUs on each bridge are pairs, all to all a mesh") {
  const auto dump = [](int gpus, auto peers_of) {
    std::string text = "<system version=\"1\">";
    for (int i = 0; i < gpus; ++i) {
      text += "<pci busid=\"" + std::to_string(i) + "\" device=\"0x2235\"><gpu dev=\"0\" sm=\"86\">";
      for (const int peer : peers_of(i))
        text += "<nvlink target=\"" + std::to_string(peer) + "\" count=\"4\" tclass=\"0x030200\"/>";
      text += "</gpu></pci>";
    }
    return import_nccl_topology(text + "</system>", "ours", "a.xml", "", Library());
  };
  const ImportedNode pairs = dump(4, [](int i) { return std::vector<int>{i ^ 1}; });
  CHECK(pairs.kind == "pairs");
  CHECK(with_node(pairs.yaml).node.scale_up_domain == 2);
  const ImportedNode mesh = dump(3, [](int i) { return std::vector<int>{(i + 1) % 3, (i + 2) % 3}; });
  CHECK(mesh.kind == "mesh");
}

TEST_CASE("what is no dump, or no XML that a dump needs, is refused with its place") {
  CHECK(problem_of("<topology/>") == "a.xml:1: 'topology' is no topology of NCCL, whose element is 'system'");
  CHECK(problem_of("<system/>") == "a.xml: it has no gpu");
  CHECK(problem_of("<system>").starts_with("a.xml:1:9: the element 'system' has no end"));
  CHECK(problem_of("<system a=1/>").starts_with("a.xml:1:11: a value in quotes is expected here"));
  CHECK(problem_of("<system a='1' a='2'/>").starts_with("a.xml:1:16: the attribute 'a' is there twice"));
  CHECK(problem_of("<a></b>").starts_with("a.xml:1:7: 'a' is ended by 'b'"));
  CHECK(problem_of("<!DOCTYPE x [<!ENTITY a 'aaaa'>]><system/>").starts_with("a.xml:1:1: document types"));
  CHECK(problem_of("<system a='&lol;'/>").starts_with("a.xml:1:12: only the entities"));
  CHECK(problem_of("<system>x</system>").starts_with("a.xml:1:9: text between elements is not read"));
  std::string deep, wide = "<system>";
  for (int i = 0; i < 10'000; ++i) deep += "<pci>";
  for (int i = 0; i < 100'001; ++i) wide += "<a/>";
  std::string many = "<system";
  for (int i = 0; i < 90'000; ++i) many += " a" + std::to_string(i) + "=''";
  CHECK(problem_of(many + "/>").find("an element has more than 200 attributes") != std::string::npos);
  CHECK(problem_of("<system a='' a=''/>").find("the attribute 'a' is there twice") != std::string::npos);
  CHECK(problem_of(deep).find("elements are more than 64 deep") != std::string::npos);
  CHECK(problem_of(wide).find("there are more than 100000 elements") != std::string::npos);
}

TEST_CASE("XML's own entities, quotes, comments and declarations are read") {
  const XmlElement e =
      parse_xml("<?xml version='1.0'?><!-- a < b --><a b='1 &lt; 2 &amp; \"3\"'><c/></a>", "x");
  CHECK(e.attribute("b") == "1 < 2 & \"3\"");
  CHECK(e.children.size() == 1);
}

}  // namespace runcast
