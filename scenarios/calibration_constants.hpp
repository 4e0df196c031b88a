// The constants that `calibrate` may fit: one visible row each, with the entries of the library that share
// it, the places in their files, bounds, and how far measurements may move it. A fit moves a constant by one
// factor in all entries that share it, so that what they differ by stays: a part without measurements follows
// its family. Leaves out: datasheet figures (peaks, bandwidths) and counts, which are facts and not fitted.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/scenario.hpp"

namespace runcast {

struct FittedField {
  std::string_view key;        // its place in the entry's file: "kernels.gemm_efficiency.bf16"
  double& (*of)(Scenario&);    // in SI units
  std::string_view unit = "";  // of the file, where the key has to be added to it
  double unit_value = 1;       // that unit in SI
};

struct Constant {
  std::string_view name;                  // "hopper.gemm_bf16"
  std::string_view sentence;              // what it is, for people
  std::string_view folder;                // of the library: hardware/gpus, hardware/nodes, fabrics, software
  std::vector<std::string_view> entries;  // that share it; empty: all of the folder
  std::vector<FittedField> fields;        // tied within an entry
  double low, high;                       // bounds of the value, in SI units
  double prior;  // standard deviation of ln(value / starting value) before any measurement
  bool usual;    // fitted unless the user names others

  bool concerns(const Scenario&) const;        // whether the scenario's hardware or software shares it
  double value(Scenario) const;                // of the first field
  void scale(Scenario&, double factor) const;  // all fields, kept within the bounds
};

std::span<const Constant> calibration_constants();

// Rows by name or by family ("hopper" takes hopper.*); the usual ones for an empty list. Throws ConfigError
// with the nearest name.
std::vector<const Constant*> constants_named(const std::vector<std::string>& names);

}  // namespace runcast
