// A figure of a result that nobody may know: days of a run that does not end, a price that is not given.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace runcast {

nlohmann::ordered_json known(double value);  // null where it is not finite

}  // namespace runcast
