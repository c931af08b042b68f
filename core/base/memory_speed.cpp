#include "core/base/memory_speed.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/base/output_file.h"
#include "core/base/system_file.h"

namespace edgellm {
namespace {

// One structure of the table: System Management BIOS Reference Specification (DMTF DSP0134), 7.18.
class Structure {
 public:
  explicit Structure(std::span<const std::byte> bytes) : bytes_(bytes) {}
  // Little-endian; 0 when the structure, of an older version, ends before it.
  uint64_t number(size_t offset, size_t n_bytes) const {
    if (offset + n_bytes > bytes_.size()) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes; ++i) value |= uint64_t(bytes_[offset + i]) << (8 * i);
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
};

constexpr uint8_t kMemoryDevice = 17, kEndOfTable = 127;

std::string kind_name(uint64_t memory_type) {
  switch (memory_type) {
    case 0x18:
      return "DDR3";
    case 0x1a:
      return "DDR4";
    case 0x1b:
      return "LPDDR";
    case 0x1c:
      return "LPDDR2";
    case 0x1d:
      return "LPDDR3";
    case 0x1e:
      return "LPDDR4";
    case 0x20:
      return "HBM";
    case 0x21:
      return "HBM2";
    case 0x22:
      return "DDR5";
    case 0x23:
      return "LPDDR5";
    case 0x24:
      return "HBM3";
    default:
      return "";
  }
}

// Of a module in its slot, in MT/s: as configured, else what it is made for; the wide field where 16 bits do
// not hold it.
uint64_t mega_transfers(const Structure& device) {
  uint64_t configured = device.number(0x20, 2), capable = device.number(0x15, 2);
  if (configured == 0xffff) configured = device.number(0x58, 4);
  if (capable == 0xffff) capable = device.number(0x54, 4);
  return configured ? configured : capable;
}

}  // namespace

std::string to_string(const MemorySpeed& speed) {
  if (speed.controller_hertz)
    return fmt::format("controller at {:.0f} MHz", double(speed.controller_hertz) / 1e6);
  std::string what = speed.kind.empty() ? "memory" : speed.kind;
  if (speed.n_modules > 1) what = fmt::format("{} x {}", speed.n_modules, what);
  return fmt::format("{} at {:.0f} MT/s", what, double(speed.n_transfers_second) / 1e6);
}

Result<MemorySpeed> parse_memory_devices(std::span<const std::byte> table) {
  MemorySpeed found;
  uint64_t slowest = 0;
  for (size_t at = 0; at + 4 <= table.size();) {
    auto type = uint8_t(table[at]);
    auto length = size_t(table[at + 1]);
    if (length < 4 || at + length > table.size() || type == kEndOfTable) break;
    Structure device(table.subspan(at, length));
    if (type == kMemoryDevice && device.number(0x0c, 2) != 0) {  // a slot of size 0 is empty
      ++found.n_modules;
      if (found.kind.empty()) found.kind = kind_name(device.number(0x12, 1));
      if (uint64_t speed = mega_transfers(device); speed && (!slowest || speed < slowest)) slowest = speed;
    }
    // Strings follow, each ended by a zero, the last by two.
    for (at += length; at + 1 < table.size() && (table[at] != std::byte(0) || table[at + 1] != std::byte(0));)
      ++at;
    at += 2;
  }
  if (!slowest) return Error{"the firmware's table (DMI) tells no memory speed"};
  found.n_transfers_second = slowest * 1'000'000;
  return found;
}

Result<MemorySpeed> read_memory_speed(const std::filesystem::path& root) {
  for (const auto& device : system_entries(root / "sys/class/devfreq", "")) {
    // Rockchip's "dmc", Exynos' "memory-controller", others' "ddr-devfreq".
    std::string name = device.filename().string();
    if (name.find("dmc") == std::string::npos && name.find("memory-controller") == std::string::npos &&
        name.find("ddr") == std::string::npos)
      continue;
    MemorySpeed speed;
    speed.controller_hertz =
        uint64_t(std::max<int64_t>(0, read_system_number(device / "cur_freq").value_or(0)));
    if (speed.controller_hertz) return speed;
  }
  std::error_code code;
  std::filesystem::path table = root / "sys/firmware/dmi/tables/DMI";
  if (!std::filesystem::exists(table, code))
    return Error{
        "the kernel shows neither the firmware's table (/sys/firmware/dmi) nor a memory controller "
        "(devfreq)"};
  auto bytes = read_text_file(table, 1 << 20);
  if (!bytes.ok()) return Error{"only root may read the firmware's table /sys/firmware/dmi/tables/DMI"};
  return parse_memory_devices(std::as_bytes(std::span(bytes->data(), bytes->size())));
}

}  // namespace edgellm
