// Removes what a hostile program left.
#pragma once

#include <string>

namespace edgellm {

// Removes the folder and all that is in it, following no link, whatever the depth: subfolders are emptied
// upwards into `path` and removed there, so that no path and no recursion grows. Returns whether it is gone.
bool remove_folder(const std::string& path);

}  // namespace edgellm
