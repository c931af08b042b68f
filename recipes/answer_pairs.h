// Candidates and references from two files, record by record: lines of text, or JSON lines where the file's
// name ends in .jsonl. Both may be one JSON-lines file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "evaluate/text_pair.h"

namespace edgellm {

struct AnswerFiles {
  std::filesystem::path candidates, references;
  std::string candidate_key = "candidate", reference_key = "reference";  // of JSON lines
};

struct AnswerPairs {
  std::vector<std::string> candidates, references;  // as many of each
  std::vector<TextPair> pairs() const;              // views of them
};

// An empty candidate is kept: it scores as the metrics score it. Error, with file and line, for an empty
// reference, a line that is no JSON object or lacks the key, and when the files have not the same number of
// records or none.
Result<AnswerPairs> read_answer_pairs(const AnswerFiles& files);

}  // namespace edgellm
