-- Who a customer was and when, computed from `account_states`, `contact_states` (tokens made already) and `firsts`
-- (customer_id, first_order_date): the state of each account and contact is looked up at each moment.
CREATE TABLE owned AS SELECT DISTINCT customer_id, account_id FROM account_states WHERE customer_id IS NOT NULL;
CREATE TABLE acquainted AS
SELECT o.customer_id, c.contact_id
FROM owned o JOIN account_states a USING (account_id) JOIN contact_states c ON c.phone_token = a.phone_token
UNION
SELECT o.customer_id, c.contact_id
FROM owned o JOIN account_states a USING (account_id) JOIN contact_states c ON c.company_token = a.name_token;
CREATE TABLE births AS
SELECT customer_id, MIN(born) AS born
FROM (SELECT customer_id, CAST(first_order_date AS TIMESTAMP) AS born FROM firsts
      UNION ALL SELECT customer_id, updated_at FROM account_states WHERE customer_id IS NOT NULL)
GROUP BY customer_id;
CREATE TABLE moments AS
SELECT customer_id, moment
FROM (SELECT customer_id, born AS moment FROM births
      UNION SELECT customer_id, CAST(first_order_date AS TIMESTAMP) FROM firsts
      UNION SELECT o.customer_id, a.updated_at FROM owned o JOIN account_states a USING (account_id)
      UNION SELECT customer_id, updated_at FROM acquainted JOIN contact_states c USING (contact_id))
JOIN births USING (customer_id)
WHERE moment >= born;
CREATE TABLE accounts_then AS
SELECT p.customer_id, p.moment, a.*  EXCLUDE (customer_id, updated_at)
FROM (SELECT customer_id, moment, account_id FROM moments JOIN owned USING (customer_id)) p
ASOF JOIN account_states a ON p.account_id = a.account_id AND p.moment >= a.updated_at
WHERE a.customer_id = p.customer_id;
CREATE TABLE account_then AS
SELECT * FROM accounts_then WHERE NOT is_deleted
QUALIFY row_number() OVER (PARTITION BY customer_id, moment ORDER BY account_id) = 1;
CREATE TABLE contact_then AS
SELECT t.customer_id, t.moment, c.*, CASE WHEN c.phone_token = t.phone_token THEN 0 ELSE 1 END AS later_choice
FROM (SELECT customer_id, moment, contact_id FROM moments JOIN acquainted USING (customer_id)) p
ASOF JOIN contact_states c ON p.contact_id = c.contact_id AND p.moment >= c.updated_at
JOIN account_then t ON t.customer_id = p.customer_id AND t.moment = p.moment
WHERE NOT c.is_deleted AND (c.phone_token = t.phone_token OR c.company_token = t.name_token)
QUALIFY row_number() OVER (PARTITION BY t.customer_id, t.moment ORDER BY later_choice, CAST(c.contact_id AS HUGEINT)) = 1;
CREATE TABLE told_then AS
SELECT m.customer_id, m.moment, t.account_id, c.contact_id, t.name_token, c.email_token,
       coalesce(t.phone_token, c.phone_token) AS phone_token, coalesce(t.country, c.country) AS country, t.industry,
       c.lifecycle_stage,
       t.account_id IS NULL AND EXISTS (FROM accounts_then d WHERE d.customer_id = m.customer_id AND d.moment = m.moment
                                        AND d.is_deleted) AS is_deleted
FROM moments m LEFT JOIN account_then t USING (customer_id, moment) LEFT JOIN contact_then c USING (customer_id, moment);
CREATE TABLE gold_dim_customer AS
WITH compared AS (
  SELECT *, row(account_id, contact_id, name_token, email_token, phone_token, country, industry, lifecycle_stage,
                is_deleted) AS told,
         lag(told) OVER (PARTITION BY customer_id ORDER BY moment) AS told_before
  FROM told_then),
changes AS (SELECT * FROM compared WHERE told_before IS DISTINCT FROM told)
SELECT customer_id, moment AS valid_from, lead(moment) OVER (PARTITION BY customer_id ORDER BY moment) AS valid_to,
       valid_to IS NULL AS is_current, account_id, contact_id, name_token, email_token, phone_token, country, industry,
       lifecycle_stage, is_deleted
FROM changes ORDER BY customer_id, valid_from;
