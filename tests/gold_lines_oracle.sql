-- What gold should hold of order lines, computed from `order_lines`, `part_supply` and `products` as the source has
-- them, `orders` and `rates`. A price stands from the day of its change. Amounts are whole numbers until they are
-- rounded, once, halves of a cent up.
CREATE MACRO parts(number, scale) AS CAST(CAST(number AS DECIMAL(38, 8)) * scale AS HUGEINT);
CREATE MACRO nearest(dividend, divisor) AS (2 * dividend + divisor) // (2 * divisor);
CREATE MACRO cents(dividend, divisor) AS CAST(nearest(dividend, divisor) / 100 AS DECIMAL(18, 2));
CREATE MACRO sixths(dividend, divisor) AS CAST(
    sign(dividend) * nearest(abs(dividend) * 1000000, divisor) / 1000000 AS DECIMAL(24, 6));
CREATE VIEW prices AS
SELECT product_id, supplier_id, CAST(updated_at AS DATE) AS valid_from, arg_max(supply_cost, updated_at) AS supply_cost
FROM part_supply GROUP BY ALL;
CREATE VIEW rated_lines AS
SELECT l.*, CASE l.currency WHEN 'EUR' THEN 1 ELSE r.rate END AS rate
FROM order_lines l ASOF LEFT JOIN rates r ON l.currency = r.currency AND l.order_date >= r.rate_date;
CREATE VIEW costed_lines AS
SELECT l.*, p.supply_cost
FROM rated_lines l ASOF LEFT JOIN prices p
    ON l.product_id = p.product_id AND l.supplier_id = p.supplier_id AND l.order_date >= p.valid_from;
CREATE TABLE gold_fct_order_lines AS
SELECT order_id, line_number, order_date, o.customer_id, product_id, supplier_id, l.currency, quantity,
       CAST(discount AS DECIMAL(5, 4)) AS discount, CAST(tax AS DECIMAL(5, 4)) AS tax, extended_price AS gross_amount,
       parts(extended_price, 100) * (10000 - parts(discount, 10000)) AS net,
       cents(net, 10000) AS net_amount, CAST(rate AS DECIMAL(18, 8)) AS rate,
       cents(parts(extended_price, 100) * 100000000, parts(rate, 100000000)) AS gross_amount_eur,
       cents(net * 100000000, parts(rate, 100000000) * 10000) AS net_amount_eur, supply_cost,
       cents(parts(supply_cost, 100) * parts(quantity, 100), 100) AS cost_eur, net_amount_eur - cost_eur AS margin_eur,
       line_status, ship_date, return_flag = 'R' AS is_returned
FROM costed_lines l LEFT JOIN (SELECT order_id, customer_id FROM orders) o USING (order_id);
ALTER TABLE gold_fct_order_lines DROP net;
CREATE VIEW margins AS
SELECT order_date, CASE WHEN bool_and(margin_eur IS NOT NULL) THEN CAST(SUM(margin_eur) AS DECIMAL(18, 2)) END AS margin_eur
FROM gold_fct_order_lines GROUP BY ALL;
CREATE VIEW gold_dim_product AS
SELECT product_id, trim(name), trim(manufacturer), trim(brand), trim(type), size, trim(container), retail_price FROM products;
CREATE VIEW quarters AS
SELECT product_id, CAST(date_trunc('quarter', order_date) AS DATE) AS quarter_start, COUNT(*) AS lines,
       COUNT(*) FILTER (margin_eur IS NULL) AS lines_without_cost, CAST(SUM(quantity) AS DECIMAL(18, 2)) AS units,
       CAST(SUM(net_amount_eur) AS DECIMAL(18, 2)) AS revenue_eur,
       CAST(coalesce(SUM(margin_eur), 0) AS DECIMAL(18, 2)) AS margin_eur,
       CAST(coalesce(SUM(quantity) FILTER (is_returned), 0) AS DECIMAL(18, 2)) AS returned_units
FROM gold_fct_order_lines GROUP BY ALL;
CREATE VIEW gold_product_performance AS
SELECT now.*, CASE WHEN now.units > 0 THEN CAST(sixths(parts(now.returned_units, 100), parts(now.units, 100)) AS DECIMAL(7, 6)) END,
       rank() OVER (PARTITION BY now.quarter_start ORDER BY now.revenue_eur DESC),
       CASE WHEN earlier.revenue_eur > 0
            THEN sixths(parts(now.revenue_eur, 100) - parts(earlier.revenue_eur, 100), parts(earlier.revenue_eur, 100)) END
FROM quarters now LEFT JOIN quarters earlier
    ON earlier.product_id = now.product_id AND earlier.quarter_start = now.quarter_start - INTERVAL 3 MONTH;
