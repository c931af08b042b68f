// The folder that every eval, score, bench and fit appends its record to, one file a record. Several programs
// may append at once.
#pragma once

#include <filesystem>
#include <vector>

#include "results/result_record.h"

namespace edgellm {

// $EDGELLM_RESULTS, or else edgellm/results in the user's data folder ($XDG_DATA_HOME, ~/.local/share). Empty
// when not even a home is known.
std::filesystem::path default_results_folder();

// Makes the folder when it is missing, sets id and time, and writes TIME-KIND-MODEL-DIGITS.json all or
// nothing. Returns the file's path.
Result<std::filesystem::path> append_record(const std::filesystem::path& folder, ResultRecord record);

// Every record of the folder (its *.json files, subfolders left out), oldest first. Error, with the file, for
// one that cannot be read, and for a folder without any.
Result<std::vector<ResultRecord>> read_records(const std::filesystem::path& folder);

}  // namespace edgellm
