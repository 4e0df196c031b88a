// Single entries of the library, read: what calculators need that ask for no whole scenario. A name that is a path is
// read from there. Errors are those of the entry's reader, or "WHERE: unknown GPU 'h10', did you mean 'h100'?".
#pragma once

#include <string>
#include <string_view>

#include "parallelism/model.hpp"
#include "parallelism/precision.hpp"
#include "parallelism/software_profile.hpp"
#include "scenarios/library.hpp"
#include "topology/hardware.hpp"

namespace runcast {

Model model_named(const std::string& name, const Library&, std::string_view where);
GpuSpec gpu_named(const std::string& name, const Library&, std::string_view where);
SoftwareProfile software_named(const std::string& name, const Library&, std::string_view where);

// The row of precisions() with this name, which the GPU must have units for.
const Precision& precision_on(const GpuSpec&, const std::string& name, std::string_view where);

// GPUs of the largest node of the library that has this GPU; 1 when none has.
int gpus_of_node(std::string_view gpu, const Library&);

// The middle of the entry's on-demand range; 0 when it has no price.
Dollars list_price(const GpuSpec&);

}  // namespace runcast
