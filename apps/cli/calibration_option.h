// --calibrate: the text that a model is compressed on, as commands take and tell it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace edgellm {

inline constexpr const char* kTextSourceHelp =
    "FILE, or FILE=WEIGHT for its share of the text beside other files'; several may be given. Plain text, "
    "or "
    "dialogues as JSON lines (.jsonl) or a JSON array (.json) of messages, conversations, or instructions "
    "with answers, which are put into the model's chat format";

// "from notes.txt, chats.jsonl (weight 2)" or that it was drawn: of a report's "calibration".
std::string calibration_sources_text(const nlohmann::json& calibration);

}  // namespace edgellm
