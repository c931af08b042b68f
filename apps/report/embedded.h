// Files of apps/report/data, put into the program by the build.
#pragma once

#include <string_view>

namespace edgellm::embedded {

extern const std::string_view kPoster;      // poster.json
extern const std::string_view kPageStyle;   // page.css
extern const std::string_view kPageScript;  // page.js

}  // namespace edgellm::embedded
