// The plots of a report as SVG that takes its colours from the page's style. Points can be focused and say
// what they are; the figures stand in a table of the page too.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/report/table.h"

namespace edgellm {

struct PlotPoint {
  std::string series, label;  // model, and what is said of the point
  double x = 0, y = 0;
};

struct ScatterPlot {
  std::string title, x_title, y_title;
  Column x, y;                   // how values are shown; y.better decides the front
  bool front_by_series = false;  // y compares points of one series only
  std::vector<PlotPoint> points;
};
// With the Pareto front as a line.
std::string scatter_svg(const ScatterPlot& plot);

struct HeatMap {
  std::string title;
  std::vector<std::string> rows, columns;
  std::vector<std::vector<std::optional<double>>> values;  // [rows][columns]
  std::vector<std::vector<std::string>> labels;            // [rows][columns], what a cell is
};
std::string heat_map_svg(const HeatMap& map);

// One bar a value, numbered as `names`.
std::string bars_svg(const std::string& title, const std::vector<std::string>& names,
                     const std::vector<double>& values, const std::string& x_title);

}  // namespace edgellm
