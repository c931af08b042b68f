// Why something could not be written, and where there was no room for it, what to do.
#pragma once

#include <string>

#include "core/base/result.h"

namespace edgellm {

// error_number: an errno. "No space left on device: make room and start again".
std::string write_failure(int error_number);

// Whether the Error came about so, and starting again with more room helps.
bool is_of_full_disk(const Error& error);

}  // namespace edgellm
