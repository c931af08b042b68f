// Names out of a file, made fit for a message on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace edgellm {

// `text` with control characters as '?', cut after `most_bytes`.
std::string printable(std::string_view text, size_t most_bytes = 80);

}  // namespace edgellm
