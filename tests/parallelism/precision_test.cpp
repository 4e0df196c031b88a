// What an element of each number format weighs, and what casting it moves.
#include "parallelism/precision.hpp"

#include <doctest/doctest.h>

#include <string>

namespace runcast {
namespace {

// A GEMM's input in its format; the copy of the weights that the forward pass reads stays 16-bit under narrow formats
// (no fp8 primary weights); 4 B of fp32 master beside every copy that is not fp32 itself.
TEST_CASE("formats: bytes of a GEMM input, of a weight and of its fp32 master") {
  struct Row {
    const char* name;
    double element, weight, master;
    bool narrow;
  };
  for (const Row& row : {Row{"fp32", 4, 4, 0, false}, Row{"tf32", 4, 4, 0, false},
                         Row{"fp16", 2, 2, 4, false}, Row{"bf16", 2, 2, 4, false}, Row{"fp8", 1, 2, 4, true},
                         Row{"mxfp8", 1, 2, 4, true}, Row{"nvfp4", 0.5, 2, 4, true}}) {
    CAPTURE(row.name);
    const Precision* p = find_precision(row.name);
    REQUIRE(p != nullptr);
    CHECK(p->gemm_element == row.element);
    CHECK(p->weight_bytes == row.weight);
    CHECK(p->master_bytes == row.master);
    CHECK(p->narrow == row.narrow);
  }
  CHECK(sixteen_bit().name == "bf16");
}

// Transformer Engine, bytes an element of a 16-bit tensor:
//   delayed    read 2, write 1; norms write the narrow tensor at once; Hopper's K-major copy 1 beside a cast, or read 1
//              and written 1 later
//   current    a pass for the maximum before, read 2, which norms cannot fuse either: 5
//   blockwise  both layouts at once: read 2, write 1 + 1
//   mxfp8      the same; norms write the second layout beside the first, 1
//   nvfp4      a pass for the maximum, read 2, then read 2 and both layouts of half a byte: 5
//   rowwise    torchao's unfused casts, 12 as fitted on published rows
TEST_CASE(
    "casts: bytes an element by recipe, from a kernel of their own, from a norm, and for the transposed "
    "copy") {
  const auto check = [](const char* format, const char* recipe, double plain, double normalized,
                        double copied, double transposed) {
    CAPTURE(format);
    CAPTURE(recipe);
    const CastTraffic traffic = cast_traffic(*find_precision(format), recipe);
    CHECK(traffic.plain == plain);
    CHECK(traffic.normalized == normalized);
    CHECK(traffic.copied == copied);
    CHECK(traffic.transposed == transposed);
  };
  check("fp8", "delayed", 2 + 1, 0, 1, 1 + 1);
  check("fp8", "current", 2 + 2 + 1, 2 + 2 + 1, 1, 1 + 1);
  check("fp8", "blockwise", 2 + 1 + 1, 2 + 1 + 1, 0, 0);
  check("fp8", "rowwise", 12, 12, 0, 0);
  check("mxfp8", "delayed", 2 + 1 + 1, 1, 0, 0);
  check("nvfp4", "delayed", 2 + 2 + 0.5 + 0.5, 2 + 2 + 0.5 + 0.5, 0, 0);
  check("bf16", "delayed", 0, 0, 0, 0);
}

}  // namespace
}  // namespace runcast
