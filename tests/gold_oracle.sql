-- What gold should hold, computed from `orders` and `rates` for one day's comparison, and the margins that
-- gold_lines_oracle.sql computes; the cut-offs are those that the contracts state. Euro amounts are exact: whole numbers, halves of a cent rounded up.
CREATE MACRO whole(number, scale) AS CAST(CAST(number AS DECIMAL(38, 8)) * scale AS HUGEINT);
CREATE MACRO euro(amount, rate) AS CAST(
    (2 * whole(amount, 100) * 100000000 + whole(rate, 100000000)) // (2 * whole(rate, 100000000)) / 100
    AS DECIMAL(18, 2));
CREATE MACRO share(part, whole, digits) AS round(CAST(part AS DOUBLE) / CAST(whole AS DOUBLE) + 1e-9, digits);
CREATE VIEW facts AS
SELECT order_id, customer_id, order_date, order_status, order_priority, o.currency, total_price AS amount,
       CASE o.currency WHEN 'EUR' THEN 1 ELSE r.rate END AS rate,
       CASE o.currency WHEN 'EUR' THEN order_date ELSE r.rate_date END AS rate_date,
       euro(amount, CASE o.currency WHEN 'EUR' THEN 1 ELSE r.rate END) AS amount_eur
FROM orders o ASOF LEFT JOIN rates r ON o.currency = r.currency AND o.order_date >= r.rate_date;
CREATE TABLE gold_fct_orders AS FROM facts;
CREATE VIEW gold_fct_daily_revenue AS
SELECT order_date AS revenue_date, currency, COUNT(*) AS orders, CAST(SUM(amount) AS DECIMAL(18, 2)) AS revenue,
       any_value(rate), any_value(rate_date), euro(CAST(SUM(amount) AS DECIMAL(18, 2)), any_value(rate))
FROM gold_fct_orders GROUP BY order_date, currency;
CREATE TABLE customers AS
SELECT customer_id, MIN(order_date) AS first_date, MAX(order_date) AS last_date, COUNT(*) AS orders,
       CAST(SUM(amount_eur) AS DECIMAL(18, 2)) AS revenue_eur
FROM gold_fct_orders GROUP BY customer_id;
CREATE VIEW scores AS
SELECT *, CASE WHEN age <= 30 THEN 5 WHEN age <= 90 THEN 4 WHEN age <= 180 THEN 3 WHEN age <= 365 THEN 2 ELSE 1 END AS r,
       CASE WHEN orders >= 25 THEN 5 WHEN orders >= 18 THEN 4 WHEN orders >= 12 THEN 3 WHEN orders >= 6 THEN 2 ELSE 1 END AS f,
       CASE WHEN revenue_eur >= 4e6 THEN 5 WHEN revenue_eur >= 2.5e6 THEN 4 WHEN revenue_eur >= 1.5e6 THEN 3
            WHEN revenue_eur >= 5e5 THEN 2 ELSE 1 END AS m
FROM (SELECT *, date_diff('day', last_date, (SELECT MAX(last_date) FROM customers)) AS age FROM customers);
CREATE VIEW gold_customer_segments AS
SELECT customer_id, first_date, last_date, orders, revenue_eur, r, f, m,
       CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'champions' WHEN r >= 4 AND orders <= 2 THEN 'new'
            WHEN r >= 3 AND f >= 4 THEN 'loyal' WHEN r <= 2 AND f >= 3 THEN 'at_risk' WHEN r = 1 THEN 'lost'
            ELSE 'regular' END
FROM scores;
CREATE VIEW gold_kpi_daily AS
SELECT order_date, COUNT(*) AS n, COUNT(DISTINCT customer_id) AS c,
       COUNT(DISTINCT customer_id) FILTER (order_date = first_date) AS new,
       CAST(share(c - new, c, 6) AS DECIMAL(7, 6)), CAST(SUM(amount_eur) AS DECIMAL(18, 2)) AS eur,
       euro(eur, n), any_value(margin_eur)
FROM gold_fct_orders JOIN customers USING (customer_id) LEFT JOIN margins USING (order_date) GROUP BY order_date;
CREATE VIEW gold_dim_date AS
SELECT CAST(d AS DATE), year(d), quarter(d), month(d), weekofyear(d), isodow(d), isodow(d) >= 6, last_day(d) = d
FROM (SELECT unnest(generate_series(make_date((SELECT MIN(year(order_date)) FROM orders), 1, 1),
                                    make_date((SELECT MAX(year(order_date)) FROM orders), 12, 31), INTERVAL 1 DAY)) AS d);
CREATE VIEW gold_dim_currency AS
SELECT currency, name, MIN(rate_date), MAX(rate_date)
FROM (SELECT currency FROM orders UNION SELECT currency FROM rates)
LEFT JOIN names USING (currency) LEFT JOIN rates USING (currency) GROUP BY currency, name;
