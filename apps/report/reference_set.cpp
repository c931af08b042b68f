#include "apps/report/reference_set.h"

#include <fmt/format.h>

#include "apps/report/embedded.h"
#include "core/base/output_file.h"

namespace edgellm {
namespace {

using nlohmann::json;

constexpr int kReferenceSchema = 1;
constexpr uint64_t kMostBytes = uint64_t{16} << 20;

std::optional<double> number_in(const json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->get<double>();
}

// Throws json::exception for what is missing or of the wrong type.
ReferenceSet set_from(const json& j) {
  ReferenceSet set;
  set.name = j.at("name");
  set.about = j.value("about", "");
  set.notes = j.value("notes", std::vector<std::string>());
  for (const json& row : j.value("speed", json::array()))
    set.speed.push_back({row.at("model"), row.value("method", ""), number_in(row, "bytes"),
                         number_in(row, "output_tokens"), row.at("seconds_per_token")});
  for (const json& row : j.value("accuracy", json::array()))
    set.accuracy.push_back(
        {row.at("model"), row.value("method", ""), number_in(row, "bytes"), row.at("figures")});
  return set;
}

}  // namespace

Result<ReferenceSet> parse_reference_set(std::string_view text, const std::string& file) {
  json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return Error{fmt::format("{}: no reference set: broken JSON, or no object", file)};
  try {
    if (int schema = j.at("schema"); schema > kReferenceSchema)
      return Error{
          fmt::format("{}: a reference set of schema {}, this edgellm reads up to {}: update edgellm", file,
                      schema, kReferenceSchema)};
    return set_from(j);
  } catch (const json::exception& e) {
    return Error{fmt::format("{}: no reference set: {} (its form is in docs/formats.md)", file, e.what())};
  }
}

Result<ReferenceSet> read_reference_set(const std::filesystem::path& path) {
  EDGELLM_ASSIGN_OR_RETURN(std::string text, read_text_file(path, kMostBytes));
  return parse_reference_set(text, path.string());
}

const ReferenceSet& poster_reference_set() {
  static const ReferenceSet kPoster = parse_reference_set(embedded::kPoster, "poster.json").value();
  return kPoster;
}

}  // namespace edgellm
