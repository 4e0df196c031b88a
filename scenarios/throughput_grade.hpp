// A measured throughput against published steps of the same GPU and number format.
//   MFU = tokens/s x exact FLOPs a token / (GPUs x dense peak); of the published rows likewise
//   grade by the share of published MFUs that lie below: A 75 %, B 50 %, C 25 %, D
// Like with like: rows of the same kind (dense or experts) where there are at least 8 of them.
#pragma once

#include <string>
#include <vector>

#include "parallelism/model.hpp"
#include "parallelism/precision.hpp"
#include "scenarios/library.hpp"
#include "topology/hardware.hpp"

namespace runcast {

struct PublishedMfu {
  std::string id, model;
  bool experts = false;
  double gpus = 0, mfu = 0;
};
// Of every published step that was measured on this GPU in this format; rows that cannot be read are left out.
std::vector<PublishedMfu> published_mfus(const GpuSpec&, const Precision&, const Library&);

struct Grade {
  std::string letter;    // "A" .. "D"; "" when there is nothing to compare with
  double share = 0;      // of the rows below
  std::size_t rows = 0;  // compared
  bool same_kind = false;
  double median = 0;  // MFU of the rows
  PublishedMfu best;
};
Grade grade_of(double mfu, bool experts, std::vector<PublishedMfu> published);

}  // namespace runcast
